"""What makes a file checkable by a stranger.

Merkle branches tie a transaction to its block's header, a manifest ties a package's files together, and the
verifier checks both: one standard-library file that imports nothing of Geldspur and travels in each package.
"""

from geldspur.proof.verifier import Check, Report, WrongUse, verify

__all__ = ["Check", "Report", "WrongUse", "verify"]
