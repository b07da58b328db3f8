"""Kernels as machine code that is loaded without numba.

To import numba and unpack what it keeps takes half a second of CPU, of which a scan of small sources consists for the
most part. Kernels that take nothing but addresses and whole numbers need it once: they are compiled into an object file
in the folder of `kernelcache`, and llvmlite, which comes with numba, links that in a twentieth of a second.

The file tells what it was made for: these sources, this LLVM, this processor. For anything else it is made anew.
"""

import ctypes
import importlib
import importlib.util
import os
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Function = Callable[..., int]
_KINDS = {"p": ctypes.c_void_p, "q": ctypes.c_int64}
_linked: list[Any] = []  # LLVM's linkers, which own the code


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

    def build(self) -> bytes:
        """Compile the functions and keep them; returns the object file. It imports numba, and takes seconds.

        Raises:
            RuntimeError: a function needs something of Python's or numba's while it runs.
        """
        code = _compiled(importlib.import_module(self.module), self.functions)
        if (path := self._path()) is not None:
            fresh = path.with_suffix(f".{os.getpid()}")
            with suppress(OSError):
                fresh.write_bytes(self._made_for(code) + code)
                fresh.replace(path)
        return code

    def load(self) -> dict[str, Function]:
        """The functions, ready to be called; built if need be. Calls let other threads of Python run."""
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        library = llvm.JITLibraryBuilder().add_object_img(self._kept() or self.build()).add_current_process()
        for function in self.functions:
            library.export_symbol(function)
        linker = llvm.create_lljit_compiler()
        places = library.link(linker, self.name)
        _linked.extend((linker, places))
        return {
            function: ctypes.CFUNCTYPE(ctypes.c_int64, *(_KINDS[letter] for letter in letters))(places[function])
            for function, letters in self.functions.items()
        }

    def _path(self) -> Path | None:
        folder = os.environ.get("NUMBA_CACHE_DIR")
        return None if folder is None else Path(folder) / f"{self.name}.code"

    def _kept(self) -> bytes | None:
        try:
            header, _, code = path.read_bytes().partition(b"\n") if (path := self._path()) else (b"", b"", b"")
        except OSError:
            return None
        return code if header + b"\n" == self._made_for(code) else None

    def _made_for(self, code: bytes) -> bytes:
        """The file's first line."""
        import llvmlite.binding as llvm

        spec = importlib.util.find_spec(self.module)
        assert spec is not None and spec.origin is not None
        sources = zlib.crc32(Path(spec.origin).read_bytes(), zlib.crc32(Path(__file__).read_bytes()))
        version = ".".join(map(str, llvm.llvm_version_info))
        processor = f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
        sums = [sources, zlib.crc32(repr(self.functions).encode()), zlib.crc32(code)]
        return f"{' '.join(f'{each:08x}' for each in sums)} LLVM {version} {processor}\n".encode()


def address(buffer: Any) -> int:
    """Where the memory of an array, a bytearray or a map lies, as a function takes it; it must be writable."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _compiled(module: Any, functions: Mapping[str, str]) -> bytes:
    """One object file of all functions, which needs none but those of C's library."""
    import llvmlite.binding as llvm
    from numba import types

    kinds = {"p": types.voidptr, "q": types.int64}
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, reloc="static",
        codemodel="jitdefault",
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
