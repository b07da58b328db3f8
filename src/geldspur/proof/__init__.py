"""What makes a file checkable by a stranger.

Merkle branches tie a transaction to its block's header, a manifest ties a package's files together, and the
verifier checks both: one standard-library file that imports nothing of Geldspur and travels in each package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geldspur.proof.verifier import Check, Report, WrongUse, verify

__all__ = ["Check", "Report", "WrongUse", "verify"]


def __getattr__(name: str) -> Any:
    """Load the verifier when it is asked for: a scan needs the log's chain and the manifest of this room only."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no {name}")
    return getattr(import_module(f"{__name__}.verifier"), name)
