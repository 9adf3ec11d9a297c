import pytest

# No test module itself, and yet its asserts shall say what they got.
pytest.register_assert_rewrite("relay.store_contract")
