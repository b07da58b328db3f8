"""One transaction in plain Python, for looking at it; the kernels read millions.

Wire format: Bitcoin Core, src/primitives/transaction.h; BIP144.
"""

import struct
from dataclasses import dataclass

from geldspur.bitcoin.headers import double_sha256
from geldspur.errors import GeldspurError


@dataclass(frozen=True, slots=True)
class TxInput:
    """What a transaction spends. `txid` is in the byte order of the wire."""

    txid: bytes
    vout: int
    script: bytes
    sequence: int
    witness: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TxOutput:
    """What a transaction pays."""

    value_sat: int
    script: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """A decoded transaction. Hashes are in the byte order of the wire."""

    version: int
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    locktime: int
    txid: bytes
    wtxid: bytes


class TransactionError(GeldspurError):
    """The bytes are no transaction; the message names offset, asked and got."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise TransactionError(
                f"the transaction ends early: {size} bytes asked for at offset {self.at}, "
                f"{len(self.data) - self.at} there"
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def compact(self) -> int:
        first = self.number(1)
        if first < 253:
            return first
        size, least = {253: (2, 253), 254: (4, 1 << 16), 255: (8, 1 << 32)}[first]
        value = self.number(size)
        if value < least:
            raise TransactionError(f"a length before offset {self.at} is not written in its shortest form")
        return value

    def string(self) -> bytes:
        return self.take(self.compact())


def parse_transaction(data: bytes) -> Transaction:
    """Decode a serialized transaction; `TransactionError` where it is cut off or followed by other bytes."""
    reader = _Reader(data)
    version = struct.unpack("<i", reader.take(4))[0]
    segwit = data[4:5] == b"\0" and data[5:6] != b"\0"
    if segwit and reader.take(2) != b"\0\1":
        raise TransactionError("the transaction carries an unknown flag at offset 5")
    body = reader.at
    plain = [(reader.take(32), reader.number(4), reader.string(), reader.number(4)) for _ in range(reader.compact())]
    outputs = tuple(TxOutput(reader.number(8), reader.string()) for _ in range(reader.compact()))
    body_end = reader.at
    witnesses = [tuple(reader.string() for _ in range(reader.compact())) if segwit else () for _ in plain]
    if segwit and not any(witnesses):
        raise TransactionError("the transaction is marked as carrying witnesses but carries none")
    locktime = reader.number(4)
    if reader.at != len(data):
        raise TransactionError(f"{len(data) - reader.at} bytes follow the transaction at offset {reader.at}")
    inputs = tuple(TxInput(*fields, witness) for fields, witness in zip(plain, witnesses, strict=True))
    stripped = data[:4] + data[body:body_end] + data[-4:]
    return Transaction(version, inputs, outputs, locktime, double_sha256(stripped), double_sha256(data))
