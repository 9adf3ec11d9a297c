import pytest

# No test modules themselves, and yet their asserts shall say what they got.
pytest.register_assert_rewrite("faults.client", "faults.stage")
