"""Where compiled kernels are kept: a folder for each state of their sources.

numba keeps a compiled function until the file that defines it changes. It doesn't see that a function which was
compiled into it, from another file, has changed since. After an upgrade that would run old machine code, and has
called a sound block damaged. Here any change of any kernel's source leads to a folder of its own.
"""

import os
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGE = Path(__file__).parent
_PREFIX = "kernels-"


def prepare() -> None:
    """Tell numba, which must not have been imported yet, where to keep what it compiles.

    `NUMBA_CACHE_DIR` is left alone where the user has set it.
    """
    sys.meta_path.insert(0, _NumbaAlone())
    if "NUMBA_CACHE_DIR" not in os.environ and (folder := _folder()) is not None:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


class _NumbaAlone:
    """Has numba imported without what it takes if it is there: YAML and cffi.

    By YAML it reads `.numba_config.yaml` of the folder that a command is run in, which may be a suspect's: the file
    decides how kernels run, and where their machine code is loaded from. And both cost every command time.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of numba, once; whatever else is wanted, others find."""
        if name != "numba":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with _hidden("yaml", "cffi"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that such a file is there and can't be read
                    load(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """As if these modules were not installed."""
    modules: dict[str, Any] = sys.modules
    there = {name: modules.get(name) for name in names}
    modules.update(dict.fromkeys(names))
    try:
        yield
    finally:
        for name, module in there.items():
            if module is None:
                del modules[name]
            else:
                modules[name] = module


def is_warm(kernel: str = "_decode_blocks") -> bool:
    """Has this kernel (the block decoder, if none is named) been compiled for the sources at hand?"""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    return folder is not None and any(Path(folder).rglob(f"kernels.{kernel}-*.nbi"))


def user_folder() -> Path:
    """This installation's folder in the user's cache, be it there or not.

    Installations that share the cache have one each: what one removes as old, another may still run.
    """
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geldspur"
    return user / f"{zlib.crc32(os.fsencode(_PACKAGE)):08x}"


def _folder() -> Path | None:
    name = _PREFIX + _state()
    for place in (_PACKAGE / "__pycache__", user_folder()):
        try:
            if not (place / name).is_dir():
                place.mkdir(parents=True, exist_ok=True)
                _remove_old(place)
                (place / name).mkdir(exist_ok=True)
            if os.access(place / name, os.W_OK):
                return place / name
        except OSError:
            continue
    return None


def _remove_old(place: Path) -> None:
    import shutil  # slow to import, and seldom needed

    for old in place.glob(f"{_PREFIX}*"):
        shutil.rmtree(old, ignore_errors=True)


def _state() -> str:
    """A checksum of all sources that kernels are made of."""
    total, length = 0, 0
    for folder, folders, names in os.walk(_PACKAGE):
        folders[:] = sorted(name for name in folders if not name.startswith("__"))
        for name in sorted(names):
            if name.endswith("kernels.py") or (name.endswith(".py") and folder.endswith("bitcoin")):
                source = (Path(folder) / name).read_bytes()
                total, length = zlib.crc32(source, total), length + len(source)
    return f"{total:08x}{length:x}"
