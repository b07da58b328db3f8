import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

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


@pytest.fixture(scope="session")
def unpacked(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpacks one of the shared cases by its archive's name, once a run."""
    done: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in done:
            out = tmp_path_factory.mktemp(name)
            with tarfile.open(shared / "cases" / f"{name}.tar.xz") as archive:
                archive.extractall(out, filter="data")
            (done[name],) = out.iterdir()
        return done[name]

    return unpack


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The embedded case with everything made from it up to its leads: case, inputs, ledger, leads, folder."""
    from geldspur.accuracy import unpack_case
    from worked import work_through

    folder = tmp_path_factory.mktemp("embedded")
    return work_through(unpack_case(folder / "case"), folder)
