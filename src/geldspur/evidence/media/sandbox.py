"""What a worker gives up before it touches hostile bytes: writing, new programs, sockets, and memory without end.

A decoder that is taken over by a crafted file can then read what the worker could read, and answer wrongly; it can't
change, create or remove a file, nor reach another host or process. Three layers, each of which holds alone where the
others are missing: resource limits, Landlock, and a seccomp filter (x86-64 only).
"""

import ctypes
import os
import platform
import resource
import struct
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 317, 1, 1
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION = 1  # flag: return the version only

# Landlock: the rights that are taken away, by the version that knows them (linux/landlock.h).
_FS_EXECUTE, _FS_WRITE_FILE = 1 << 0, 1 << 1
_FS_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))
_FS_REFER, _FS_TRUNCATE, _FS_IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_NET_BIND_AND_CONNECT = 3
_SCOPE_UNIX_SOCKETS_AND_SIGNALS = 3

# System calls of x86-64 that a decoder has no use for. Landlock does not govern modes, owners, times and attributes.
_REFUSED = {
    "socket": 41, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53, "execve": 59, "execveat": 322,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "io_uring_setup": 425, "bpf": 321, "mount": 165,
    "creat": 85, "openat2": 437, "open_by_handle_at": 304, "truncate": 76, "rename": 82, "renameat": 264,
    "renameat2": 316, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "link": 86, "linkat": 265, "unlink": 87,
    "unlinkat": 263, "symlink": 88, "symlinkat": 266, "mknod": 133, "mknodat": 259, "chmod": 90, "fchmod": 91,
    "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260, "utime": 132,
    "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
}  # fmt: skip
_OPEN, _OPENAT = (2, 24), (257, 32)  # the call, and where in seccomp's data its flags lie
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_AUDIT_ARCH_X86_64 = 0xC000003E
_X32 = 0x40000000
_RETURN_ALLOW, _RETURN_EPERM = 0x7FFF0000, 0x00050001
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


def confine(memory: int | None = None) -> dict[str, int | bool]:
    """Lock the calling process in, for good. Call it before any thread is started, after all imports.

    Files can still be opened for reading, and pipes that are open can be written to. Compile or load every kernel
    before (`pdq.warm`): nothing can be cached afterwards.

    Args:
        memory: bytes of address space that may be taken beyond what is in use now; None for no limit.

    Returns:
        What is in force, for the log: `no_new_privs`, `no_writing` (resource limit), `memory`, `landlock` (the
        kernel's version of it, 0 where there is none), `seccomp`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    if memory is not None:
        most = _mapped() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    locked = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    return {
        "no_new_privs": locked,
        "no_writing": True,
        "memory": memory or 0,
        "landlock": _landlock(libc) if locked else 0,
        "seccomp": _seccomp(libc) if locked else False,
    }


def _mapped() -> int:
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    return pages * resource.getpagesize()


def _landlock(libc: ctypes.CDLL) -> int:
    """Take away all rights to change the file system, run programs and use TCP; the version in force, or 0."""
    version = int(libc.syscall(_SYS_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION))
    if version < 1:
        return 0
    rights = _FS_EXECUTE | _FS_WRITE_FILE | _FS_REMOVE_AND_MAKE
    for since, right in ((2, _FS_REFER), (3, _FS_TRUNCATE), (5, _FS_IOCTL_DEV)):
        rights |= right if version >= since else 0
    net = _NET_BIND_AND_CONNECT if version >= 4 else 0
    scope = _SCOPE_UNIX_SOCKETS_AND_SIGNALS if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = ctypes.create_string_buffer(struct.pack("<QQQ", rights, net, scope)[:size], size)
    handle = int(libc.syscall(_SYS_LANDLOCK_CREATE, ruleset, size, 0))
    if handle < 0:
        return 0
    try:
        return version if libc.syscall(_SYS_LANDLOCK_RESTRICT, handle, 0) == 0 else 0
    finally:
        os.close(handle)


def _seccomp(libc: ctypes.CDLL) -> bool:
    """Refuse (EPERM) the calls above in every thread; whether the filter is in force."""
    if platform.machine() != "x86_64" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    program = _filter()
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    return bool(libc.syscall(_SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, header) == 0)


def _filter() -> list[bytes]:
    """The filter as instructions of classic BPF: refuse foreign architectures, the calls, and opening to write."""

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    refuse = step(_RETURN, _RETURN_EPERM)
    program = [step(_LOAD, 4), step(_IF_EQUAL, _AUDIT_ARCH_X86_64, yes=1), refuse]
    program += [step(_LOAD, 0), step(_IF_AT_LEAST, _X32, no=1), refuse]
    for call in _REFUSED.values():
        program += [step(_IF_EQUAL, call, no=1), refuse]
    for call, flags in (_OPEN, _OPENAT):
        program += [step(_IF_EQUAL, call, no=4), step(_LOAD, flags), step(_IF_ANY_BIT, _WRITING, no=1), refuse]
        program += [step(_RETURN, _RETURN_ALLOW)]
    return [*program, step(_RETURN, _RETURN_ALLOW)]
