"""What a scriptPubKey is: its type, and the part that tells it from others of the type.

The kernel in `kernels.py` classifies outputs by the same rules in bulk; a test holds the two together.
Source: Bitcoin Core, src/script/solver.cpp and src/script/script.h; BIP141, BIP341.
"""

from enum import IntEnum

MAX_SCRIPT_SIZE = 10_000
_OP_RETURN = 0x6A
_OP_CHECKSIG = 0xAC
_OP_CHECKMULTISIG = 0xAE


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


# What stands before and after the payload of the types that have an address of their own, and its length.
_FORMS: dict[ScriptType, tuple[bytes, int, bytes]] = {
    ScriptType.P2PKH: (b"\x76\xa9\x14", 20, b"\x88\xac"),
    ScriptType.P2SH: (b"\xa9\x14", 20, b"\x87"),
    ScriptType.P2WPKH: (b"\x00\x14", 20, b""),
    ScriptType.P2WSH: (b"\x00\x20", 32, b""),
    ScriptType.P2TR: (b"\x51\x20", 32, b""),
}


def is_unspendable(script: bytes) -> bool:
    """Can nobody ever spend an output with this script (Core's CScript::IsUnspendable)?"""
    return len(script) > MAX_SCRIPT_SIZE or script[:1] == b"\x6a"


def witness_program(script: bytes) -> tuple[int, bytes] | None:
    """Witness version (0 to 16) and program (2 to 40 bytes) of a scriptPubKey, else None (BIP141)."""
    if not 4 <= len(script) <= 42 or script[1] != len(script) - 2:
        return None
    if script[0] == 0:
        return 0, script[2:]
    if 0x51 <= script[0] <= 0x60:
        return script[0] - 0x50, script[2:]
    return None


def classify(script: bytes) -> tuple[ScriptType, bytes]:
    """Type and payload of a scriptPubKey of any length, odd ones included.

    The payload is the 20 or 32 bytes of hash or program for P2PKH, P2SH, P2WPKH, P2WSH and P2TR, and the
    whole script for every other type. What can't be spent for its length is filed with OP_RETURN, as the
    kernel does. Of bare multisig, the form is known whose keys (at most 16) are pushed directly.
    """
    if is_unspendable(script):
        return ScriptType.OP_RETURN, script
    for script_type, (head, length, tail) in _FORMS.items():
        if len(script) == len(head) + length + len(tail) and script.startswith(head) and script.endswith(tail):
            return script_type, script[len(head) : len(head) + length]
    program = witness_program(script)
    if program is not None:
        return (ScriptType.WITNESS_UNKNOWN if program[0] else ScriptType.NONSTANDARD), script
    if len(script) in (35, 67) and script[-1] == _OP_CHECKSIG and _pushed_key(script, 0) == len(script) - 1:
        return ScriptType.P2PK, script
    if _is_multisig(script):
        return ScriptType.MULTISIG, script
    return ScriptType.NONSTANDARD, script


def script_of(script_type: ScriptType, payload: bytes) -> bytes:
    """The scriptPubKey that `classify` took apart.

    ValueError where the payload hasn't the length of its type.
    """
    form = _FORMS.get(script_type)
    if form is None:
        return payload
    head, length, tail = form
    if len(payload) != length:
        raise ValueError(f"a {script_type.label} payload has {length} bytes, got {len(payload)}")
    return head + payload + tail


def _pushed_key(script: bytes, at: int) -> int | None:
    """Where the public key ends that is pushed at `at`; None where none is pushed (CPubKey::ValidSize)."""
    length, start = script[at], at + 1
    kinds = {33: b"\x02\x03", 65: b"\x04\x06\x07"}.get(length)
    if kinds is None or start + length > len(script) or script[start] not in kinds:
        return None
    return start + length


def _is_multisig(script: bytes) -> bool:
    if len(script) < 3 or script[-1] != _OP_CHECKMULTISIG:
        return False
    required, total = script[0] - 0x50, script[-2] - 0x50
    if not 1 <= required <= total <= 16:
        return False
    at, keys, end = 1, 0, len(script) - 2
    while at < end:
        after = _pushed_key(script[:end], at)
        if after is None:
            return False
        at, keys = after, keys + 1
    return keys == total
