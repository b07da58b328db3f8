"""Detached signatures: a small JSON file beside the file that it signs.

What is signed, with Ed25519, are these bytes and nothing else:

    geldspur signature 1 LF purpose LF fingerprint LF, then the file's bytes

The purpose keeps a signature of one kind of file from being shown for another, and the fingerprint ties it to one
key. `docs/custody.md` checks one with openssl alone.
"""

import json
import re
from typing import Any

from geldspur.proof.keys import PrivateKey, PublicKey

FORMAT = "geldspur signature 1"
EVIDENCE = "evidence manifest"
_PURPOSE = re.compile(r"[a-z0-9][a-z0-9 -]{0,63}")
_FIELDS = {"format", "algorithm", "purpose", "public_key", "fingerprint", "signature"}


class NotASignature(ValueError):
    """The bytes are no signature file as this module writes it."""


def signed_bytes(content: bytes, purpose: str, fingerprint: str) -> bytes:
    """What the key signs for a file with this content."""
    if not _PURPOSE.fullmatch(purpose):
        raise ValueError(f"{purpose!r} can't be a purpose")
    return f"{FORMAT}\n{purpose}\n{fingerprint}\n".encode() + content


def sign(content: bytes, purpose: str, key: PrivateKey) -> bytes:
    """The bytes of the signature file; the same content, purpose and key give the same bytes."""
    public = key.public
    fields = {
        "format": FORMAT,
        "algorithm": "Ed25519",
        "purpose": purpose,
        "public_key": public.raw.hex(),
        "fingerprint": public.fingerprint,
        "signature": key.sign(signed_bytes(content, purpose, public.fingerprint)).hex(),
    }
    return (json.dumps(fields, indent=1) + "\n").encode()


def check(content: bytes, signature: bytes, purpose: str) -> PublicKey | None:
    """The key that signed this content for this purpose; None where the signature does not fit.

    Whose key it is, the signature can't say: compare its fingerprint with one that came by another way.

    Raises:
        NotASignature: `signature` is not the content of a signature file.
    """
    fields = _read(signature)
    try:
        key = PublicKey(bytes.fromhex(fields["public_key"]))
        made = bytes.fromhex(fields["signature"])
    except ValueError as error:
        raise NotASignature("its key or signature is malformed") from error
    if fields["purpose"] != purpose or fields["fingerprint"] != key.fingerprint:
        return None
    return key if key.fits(made, signed_bytes(content, purpose, key.fingerprint)) else None


def _read(signature: bytes) -> dict[str, str]:
    try:
        fields: Any = json.loads(signature)
    except (ValueError, RecursionError) as error:
        raise NotASignature("it is no JSON") from error
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise NotASignature("its fields are not those of a signature")
    if not all(isinstance(value, str) for value in fields.values()):
        raise NotASignature("a field of it is no text")
    if fields["format"] != FORMAT or fields["algorithm"] != "Ed25519":
        raise NotASignature(f"its format is {fields['format']!r} with {fields['algorithm']!r}")
    return fields
