"""How much an archive may unpack to, and the error that says where it had to stop."""

from dataclasses import dataclass
from typing import Any

MIB = 1 << 20
TIB = 1 << 40


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one outermost archive with all archives nested in it.

    `ratio`: unpacked bytes a packed byte of the outermost archive. Deflate can't exceed 1,032, so that one honest layer
    of it never meets the default, and two layers of a bomb do. It is looked at only beyond `free_bytes`.
    `buffer_bytes`: memory for nested archives that need seeking, all levels together. `dictionary_bytes`: what an LZMA
    decoder may take. `name_bytes` and `name_ratio`: what all members' paths may take together, absolute and for each
    packed byte; a pax header that gives every member the same name of a megabyte, or an archive of a long name that
    holds many members, would fill the disk with paths alone. It is looked at only beyond `free_name_bytes`.
    """

    depth: int = 8
    member_bytes: int = TIB
    total_bytes: int = 16 * TIB
    ratio: int = 1_100
    members: int = 1_000_000
    free_bytes: int = 256 * MIB
    name_bytes: int = 1 << 30
    name_ratio: int = 64
    free_name_bytes: int = 16 * MIB
    buffer_bytes: int = 256 * MIB
    dictionary_bytes: int = 128 * MIB


LIMITS = Limits()


class Stopped(OSError):
    """Reading went no further. `reason` is a code of `reasons.SKIPPED` (a limit) or of `reasons.UNREADABLE` (damage).

    `offset`: in the archive's own bytes where it is damaged, in the member's where it ends.
    """

    def __init__(self, reason: str, words: str, offset: int | None = None) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words
        self.offset = offset

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it passes between processes."""
        return Stopped, (self.reason, self.words, self.offset)


class Budget:
    """What an outermost archive of `packed` bytes may still unpack to, and how much may still lie in memory."""

    def __init__(self, limits: Limits, packed: int) -> None:
        self.limits = limits
        self.buffer_left = limits.buffer_bytes
        by_ratio = max(limits.free_bytes, limits.ratio * packed)
        self._reason = "ratio" if by_ratio < limits.total_bytes else "size"
        self._allowed = min(by_ratio, limits.total_bytes)
        self._left = self._allowed
        self._names_left = min(limits.name_bytes, max(limits.free_name_bytes, limits.name_ratio * packed))

    def takes_name(self, size: int) -> bool:
        """Whether a member's path of `size` bytes still may be kept; it is taken off."""
        self._names_left -= size
        return self._names_left >= 0

    def refuses(self, size: int) -> str | None:
        """The reason why `size` more bytes are too many."""
        return self._reason if size > self._left else None

    def charge(self, size: int) -> None:
        """Take `size` bytes off; once it was too much it stays so.

        Raises:
            Stopped: they are too many.
        """
        if size > self._left:
            self._left = 0
            raise Stopped(self._reason, f"the archive unpacks to more than {self._allowed:,} bytes, its limit")
        self._left -= size
