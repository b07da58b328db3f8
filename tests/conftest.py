from pathlib import Path

import pytest
from hypothesis import settings

# Kernels compile at their first call, which no deadline of a single example should count.
settings.register_profile("geldspur", deadline=None, print_blob=True)
settings.load_profile("geldspur")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material that lies beside the checkout; tests that need it are skipped where it is absent."""
    path = Path(__file__).parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("needs the reference material beside the checkout")
    return path
