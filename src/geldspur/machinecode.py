"""Kernels as machine code that is loaded without numba.

To import numba and unpack what it keeps takes half a second of CPU, of which a scan of small sources consists for the
most part. Kernels that take nothing but addresses and whole numbers need it once: they are compiled, laid out
(`flatcode`), and kept in the folder of `kernelcache`. On x86-64 nothing is left to do then but to put them into memory;
elsewhere an object file is kept, which llvmlite links in a tenth of a second.

The file tells what it was made for: these sources, this LLVM, this processor. For anything else it is made anew.
"""

import ctypes
import importlib
import importlib.util
import json
import mmap
import os
import platform
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Function = Callable[..., int]
_KINDS = {"p": ctypes.c_void_p, "q": ctypes.c_int64}
_owners: list[Any] = []  # of the code: memory, or LLVM's linkers
_WHICH_PROCESSOR = ("vendor_id", "cpu family", "model", "stepping", "flags")  # lines of /proc/cpuinfo


@dataclass(frozen=True)
class MachineCode:
    """Functions of one module: plain Python that numba can compile, of addresses and whole numbers.

    Attributes:
        name: of the file.
        module: where they are defined; its source alone decides what they do.
        functions: by name, the arguments: a letter each, `p` an address, `q` an int64. All return an int64.
    """

    name: str
    module: str
    functions: Mapping[str, str]

    def is_built(self) -> bool:
        """Is there a file? (Whether for this processor, `load` finds out.)"""
        path = self._path()
        return path is not None and path.is_file()

    def fits(self) -> bool:
        """Is there a file that was made for this processor?"""
        return self._kept() is not None

    def build(self) -> bytes:
        """Compile the functions and keep them; returns what is kept. It imports numba, and takes seconds.

        Raises:
            RuntimeError: a function needs something of Python's or numba's while it runs.
        """
        content = _laid_out(_compiled(importlib.import_module(self.module), self.functions), self.functions)
        if (path := self._path()) is not None:
            fresh = path.with_suffix(f".{os.getpid()}")
            with suppress(OSError):
                fresh.write_bytes(self._made_for(content) + content)
                fresh.replace(path)
        return content

    def load(self) -> dict[str, Function]:
        """The functions, ready to be called; built if need be. Calls let other threads of Python run.

        Raises:
            OSError: the system lets no program make code while it runs.
        """
        layout, _, code = (self._kept() or self.build()).partition(b"\n")
        places = _put(code, json.loads(layout)) if layout else _linked(code, self.functions)
        return {
            function: ctypes.CFUNCTYPE(ctypes.c_int64, *(_KINDS[letter] for letter in letters))(places[function])
            for function, letters in self.functions.items()
        }

    def _path(self) -> Path | None:
        folder = os.environ.get("NUMBA_CACHE_DIR")
        return None if folder is None else Path(folder) / f"{self.name}.code"

    def _kept(self) -> bytes | None:
        try:
            header, _, content = path.read_bytes().partition(b"\n") if (path := self._path()) else (b"", b"", b"")
        except OSError:
            return None
        return content if header + b"\n" == self._made_for(content) else None

    def _made_for(self, content: bytes) -> bytes:
        """The file's first line."""
        import llvmlite  # without its libraries: that takes a millisecond

        spec = importlib.util.find_spec(self.module)
        assert spec is not None and spec.origin is not None
        sources = 0
        for source in (spec.origin, __file__, Path(__file__).with_name("flatcode.py")):
            sources = zlib.crc32(Path(source).read_bytes(), sources)
        sums = [sources, zlib.crc32(repr(self.functions).encode()), zlib.crc32(content)]
        return f"{' '.join(f'{each:08x}' for each in sums)} LLVM {llvmlite.__version__} {_processor()}\n".encode()


def address(buffer: Any) -> int:
    """Where the memory of an array, a bytearray or a map lies, as a function takes it; it must be writable."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


@cache
def _processor() -> str:
    """All that decides what may run here, in one line: as Linux tells it, or else LLVM, which takes a while to ask."""
    with suppress(OSError):
        first, _, _ = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").partition("\n\n")
        told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
        if all(name in told for name in _WHICH_PROCESSOR):
            return " ".join(told[name] for name in _WHICH_PROCESSOR)
    import llvmlite.binding as llvm

    return f"{platform.machine()} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


def _laid_out(image: bytes, functions: Mapping[str, str]) -> bytes:
    """What is kept: a line that says where everything lies, and the code; or an empty line, and the object file."""
    from geldspur.flatcode import NotFlat, flatten

    try:
        flat = flatten(image, functions)
    except NotFlat:
        return b"\n" + image
    layout = {"entries": flat.entries, "outside": flat.outside}
    return json.dumps(layout).encode() + b"\n" + flat.code


def _put(code: bytes, layout: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Addresses of the functions of code that was laid out, in memory that can't be written to any more."""
    library = ctypes.CDLL(None, use_errno=True)
    memory = mmap.mmap(-1, len(code), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[:] = code
    for name, at in layout["outside"].items():
        outside = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        assert outside is not None
        memory[at : at + 8] = outside.to_bytes(8, "little")
    start = address(memory)
    if library.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(len(code)), mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), f"memory can't be made executable: {os.strerror(ctypes.get_errno())}")
    _owners.append(memory)
    return {name: start + at for name, at in layout["entries"].items()}


def _linked(image: bytes, functions: Mapping[str, str]) -> dict[str, int]:
    """Addresses of the functions of an object file."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
    for function in functions:
        library.export_symbol(function)
    linker = llvm.create_lljit_compiler()
    places = library.link(linker, f"code {len(_owners)}")
    _owners.extend((linker, places))
    return {function: places[function] for function in functions}


def _compiled(module: Any, functions: Mapping[str, str]) -> bytes:
    """One object file of all functions, which needs none but those of C's library."""
    import llvmlite.binding as llvm
    from numba import types

    kinds = {"p": types.voidptr, "q": types.int64}
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, reloc="pic",
        codemodel="small",
    )  # fmt: skip
    whole = llvm.parse_assembly("")
    for name, letters in functions.items():
        callback = _callback(getattr(module, name), types.int64(*(kinds[letter] for letter in letters)))
        part = llvm.parse_assembly(callback.inspect_llvm())
        for function in part.functions:
            if function.name == callback.native_name:
                function.name = name
            elif not function.is_declaration:
                function.linkage = "internal"  # so that what nobody calls is dropped, numba's handling of errors too
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
        passes.getModulePassManager().run(part, passes)
        whole.link_in(part)
    needs = [each.name for each in whole.functions if each.is_declaration and not each.name.startswith("llvm.")]
    if needs:
        raise RuntimeError(f"kernels need {', '.join(needs)}")
    return bytes(machine.emit_object(whole))


def _callback(function: Callable[..., Any], signature: Any) -> Any:
    """What numba makes of a function, without checks of bounds whatever the environment asks for: they need Python."""
    from numba import cfunc

    config: Any = importlib.import_module("numba.core.config")
    asked, config.BOUNDSCHECK = config.BOUNDSCHECK, 0
    try:
        return cfunc(signature, error_model="numpy")(function)
    finally:
        config.BOUNDSCHECK = asked
