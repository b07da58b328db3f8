"""Address texts of whole columns of scripts: the same texts as `addresses.encode`, made in arrays.

An export writes them by the hundred million. Whole arrays are fast enough for that and need no compiler, so that
a small export isn't kept waiting for one.
"""

from hashlib import sha256

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin import base58, bech32
from geldspur.bitcoin.networks import Network
from geldspur.bitcoin.scripts import ScriptType

Bytes = npt.NDArray[np.uint8]

WIDTH = bech32.MAX_LENGTH
_CHUNK = 1 << 15
_WITNESS_VERSION = {ScriptType.P2WPKH: 0, ScriptType.P2WSH: 0, ScriptType.P2TR: 1}
BULK_TYPES = (ScriptType.P2PKH, ScriptType.P2SH, *_WITNESS_VERSION)
"""The types that `encode_column` knows: all that have an address, but for witness versions not in use."""

_DIGITS = 35  # the fewest that hold any 25 bytes, rounded up to whole groups
_GROUP = 58**5
_ALPHABET = np.frombuffer(base58.ALPHABET, np.uint8)
_CHARSET = np.frombuffer(bech32.CHARSET, np.uint8)


def encode_column(script_type: ScriptType, payloads: Bytes, network: Network) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Addresses of the scripts of one type: (uint8[n,WIDTH] of text, zeros behind it; int64[n] of lengths).

    `payloads` is uint8[n,20] or uint8[n,32], as the type has it; ValueError for a type that is not in BULK_TYPES.
    """
    if script_type not in BULK_TYPES:
        raise ValueError(f"{script_type.label} is not encoded in bulk")
    text = np.zeros((len(payloads), WIDTH), np.uint8)
    lengths = np.zeros(len(payloads), np.int64)
    for at in range(0, len(payloads), _CHUNK):
        part = payloads[at : at + _CHUNK]
        if script_type in _WITNESS_VERSION:
            made = _segwit(network.bech32_hrp, _WITNESS_VERSION[script_type], part)
            lengths[at : at + _CHUNK] = made.shape[1]
        else:
            version = network.p2pkh_version if script_type == ScriptType.P2PKH else network.p2sh_version
            made, lengths[at : at + _CHUNK] = _base58_check(version, part)
        text[at : at + _CHUNK, : made.shape[1]] = made
    return text, lengths


def _segwit(prefix: str, version: int, programs: Bytes) -> Bytes:
    count, size = programs.shape
    data = (8 * size + 4) // 5
    bits = np.zeros((count, 5 * data), np.uint8)
    bits[:, : 8 * size] = np.unpackbits(programs, axis=1)
    values = np.full((count, 1 + data + bech32.CHECKSUM), version, np.uint8)
    values[:, 1 : 1 + data] = bits.reshape(count, data, 5) @ np.array([16, 8, 4, 2, 1], np.uint8)
    start, places = bech32.checksum_parts(prefix, values.shape[1])
    table = np.array(places[: bech32.CHECKSUM - 1 : -1], np.uint32)
    parts = table[np.arange(1 + data), values[:, : 1 + data]]
    checksum = np.bitwise_xor.reduce(parts, axis=1) ^ np.uint32(start ^ (bech32.BECH32M if version else bech32.BECH32))
    for place in range(bech32.CHECKSUM):
        values[:, 1 + data + place] = checksum >> np.uint32(5 * (bech32.CHECKSUM - 1 - place)) & np.uint32(31)
    head = np.frombuffer(f"{prefix}1".encode(), np.uint8)
    return np.hstack([np.broadcast_to(head, (count, len(head))), _CHARSET[values]])


def _base58_check(version: int, hashes: Bytes) -> tuple[Bytes, npt.NDArray[np.int64]]:
    count = len(hashes)
    data = np.empty((count, 25), np.uint8)
    data[:, 0] = version
    data[:, 1:21] = hashes
    raw = data[:, :21].tobytes()
    digests = (sha256(sha256(raw[at : at + 21]).digest()).digest() for at in range(0, len(raw), 21))
    data[:, 21:] = np.frombuffer(b"".join(d[:4] for d in digests), np.uint8).reshape(count, 4)
    digits = _ALPHABET[_base58_digits(data)]
    zeros = np.argmax(data != 0, axis=1)
    start = np.argmax(digits != _ALPHABET[0], axis=1) - zeros
    at = start[:, None] + np.arange(_DIGITS)
    text = np.take_along_axis(digits, np.minimum(at, _DIGITS - 1), axis=1)
    text[at >= _DIGITS] = 0
    return text, _DIGITS - start


def _base58_digits(data: Bytes) -> npt.NDArray[np.uint64]:
    """The 35 digits of 25-byte numbers, most significant first, uint64[n,35]: long division by 58^5 over words."""
    padded = np.zeros((len(data), 28), np.uint8)
    padded[:, 3:] = data
    words = np.ascontiguousarray(padded.view(">u4").T, np.uint64)
    digits = np.empty((len(data), _DIGITS), np.uint64)
    for group in range(_DIGITS // 5):
        rest = np.zeros(len(data), np.uint64)
        for word in words:
            current = rest << np.uint64(32) | word
            np.floor_divide(current, np.uint64(_GROUP), out=word)
            rest = current - word * np.uint64(_GROUP)
        for place in range(5):
            quotient = rest // np.uint64(58)
            digits[:, _DIGITS - 1 - 5 * group - place] = rest - quotient * np.uint64(58)
            rest = quotient
    return digits
