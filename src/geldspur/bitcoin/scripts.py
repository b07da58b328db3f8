"""What a scriptPubKey is: its type, and the part that tells it from others of the type.

The kernel in `kernels.py` classifies outputs by the same rules in bulk; a test holds the two together.
Source: Bitcoin Core, src/script/solver.cpp; BIP141, BIP341.
"""

from enum import IntEnum


class ScriptType(IntEnum):
    """The forms of scriptPubKey, as stored in the ledger's `script_type` column."""

    NONSTANDARD = 0
    P2PK = 1
    P2PKH = 2
    P2SH = 3
    P2WPKH = 4
    P2WSH = 5
    P2TR = 6
    MULTISIG = 7
    WITNESS_UNKNOWN = 8
    OP_RETURN = 9

    @property
    def label(self) -> str:
        """The lower-case name that files and messages use."""
        return self.name.lower()
