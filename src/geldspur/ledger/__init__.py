"""The ledger: the block chain as columns on disk, each input linked to the output that it spends.

`index` reads Bitcoin Core's block files and writes a ledger directory; `Ledger` opens one and answers which
transaction, block or address is which. The bytes of a ledger depend on the blocks alone. Where each block lay
in its source is kept apart, so that raw transactions can be shown for proofs.
"""

from typing import TYPE_CHECKING, Any

from geldspur.ledger.store import NO_SCRIPT, Ledger

if TYPE_CHECKING:
    from geldspur.ledger.build import IndexReport, index

__all__ = ["NO_SCRIPT", "IndexReport", "Ledger", "index"]


def __getattr__(name: str) -> Any:
    # Building needs numba, whose import alone takes longer than a look-up may.
    if name in ("index", "IndexReport"):
        from geldspur.ledger import build

        return getattr(build, name)
    raise AttributeError(name)
