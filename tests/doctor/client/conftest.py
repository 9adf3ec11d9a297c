from pathlib import Path

import pytest

from certificate import make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate; returns its directory."""
    directory = tmp_path_factory.mktemp("certificate")
    make_certificate(directory)
    return directory
