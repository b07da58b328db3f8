"""What must hold of each decoder for any input at all; `tools/fuzz.py` and the corpus tests call these."""

import numpy as np

from geldspur.bitcoin import kernels, script_kernels
from geldspur.bitcoin.addresses import AddressError, decode, encode
from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.headers import HEADER_SIZE
from geldspur.bitcoin.networks import NETWORKS
from geldspur.bitcoin.scripts import classify, script_of
from geldspur.bitcoin.transactions import TransactionError, parse_transaction
from geldspur.errors import GeldspurError
from plain_undo import read_undo

# What lies behind the input in memory: had a kernel read it, the answer would depend on it.
BEHIND = (bytes(64), b"\xff" * 64)
_BATCH = Batch(4_000_000)


def address(data: bytes) -> None:
    """An address is refused by an AddressError, or is what its script is written as."""
    text = data.decode("utf-8", "surrogateescape")
    for network in NETWORKS.values():
        try:
            decoded = decode(text, network)
        except AddressError:
            continue
        assert encode(*decoded, network) == (text if text[:1] in "123mn" else text.lower())


def script(data: bytes) -> None:
    """Type and payload say all of a script, in Python and in the kernel."""
    kind, payload = classify(data)
    assert script_of(kind, payload) == data
    answers = {script_kernels.classify(np.frombuffer(data + tail, np.uint8), 0, len(data)) for tail in BEHIND}
    ((number, start, end),) = answers
    assert (number, data[start:end]) == (int(kind), payload)


def transaction(data: bytes) -> None:
    """Whatever is no transaction is refused by a TransactionError."""
    try:
        parse_transaction(data)
    except TransactionError:
        return
    assert len(data) >= 10


def block(data: bytes) -> None:
    """A block is refused with a fault inside of it, or holds transactions that plain Python reads too."""
    results = set()
    for tail in BEHIND:
        buf = np.frombuffer(data + tail, np.uint8)
        results.add(_BATCH.decode(buf, np.zeros(1, np.int64), np.array([len(data)], np.int64)))
    ((fault, _, at),) = results
    assert 0 <= at <= len(data)
    if fault != kernels.OK:
        assert fault in kernels.FAULTS
        return
    start = len(data) - int(_BATCH.size[: _BATCH.n_tx].sum())
    assert start > HEADER_SIZE
    for row, size in enumerate(_BATCH.size[: _BATCH.n_tx].tolist()):
        assert parse_transaction(data[start : start + size]).txid == _BATCH.txid[row].tobytes()
        start += size


def undo(data: bytes) -> None:
    """Undo data are refused by a GeldspurError, or read as plain Python reads them."""
    from geldspur.ledger.undo import decode_undo

    try:
        spent = decode_undo(data, "fuzz")
    except GeldspurError:
        return
    plain = [coin for coins in read_undo(data) for coin in coins]
    assert [int(v) for v in spent.value] == [coin.value for coin in plain]


TARGETS = {target.__name__: target for target in (address, script, transaction, block, undo)}
