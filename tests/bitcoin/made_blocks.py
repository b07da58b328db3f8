"""Blocks made and read in plain Python, to hold the kernels against."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.scripts import ScriptType, classify
from geldspur.bitcoin.transactions import parse_transaction


def double_sha256(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def compact(n: int) -> bytes:
    if n < 253:
        return bytes([n])
    width, mark = (2, 253) if n < 1 << 16 else (4, 254) if n < 1 << 32 else (8, 255)
    return bytes([mark]) + n.to_bytes(width, "little")


@dataclass
class In:
    script: bytes = b""
    witness: Sequence[bytes] = ()
    outpoint: bytes = bytes(range(36))
    sequence: int = 0xFFFFFFFE


@dataclass
class Tx:
    inputs: Sequence[In] = field(default_factory=lambda: [In()])
    outputs: Sequence[tuple[int, bytes]] = ()
    version: int = 2
    locktime: int = 0

    def raw(self, with_witness: bool = True) -> bytes:
        segwit = with_witness and any(i.witness for i in self.inputs)
        parts = [self.version.to_bytes(4, "little", signed=True), b"\0\1" if segwit else b"", compact(len(self.inputs))]
        parts += [
            i.outpoint + compact(len(i.script)) + i.script + i.sequence.to_bytes(4, "little") for i in self.inputs
        ]
        parts += [compact(len(self.outputs))]
        parts += [value.to_bytes(8, "little") + compact(len(script)) + script for value, script in self.outputs]
        if segwit:
            for i in self.inputs:
                parts += [compact(len(i.witness)), *(compact(len(item)) + item for item in i.witness)]
        return b"".join([*parts, self.locktime.to_bytes(4, "little")])

    def txid(self) -> bytes:
        return double_sha256(self.raw(with_witness=False))


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    level = list(hashes)
    while len(level) > 1:
        level += level[-1:] * (len(level) % 2)
        level = [double_sha256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def with_root(block: bytes, txids: Sequence[bytes]) -> bytes:
    return block[:36] + merkle_root(txids) + block[68:]


def make_block(transactions: Sequence[Tx]) -> bytes:
    body = compact(len(transactions)) + b"".join(tx.raw() for tx in transactions)
    return with_root(bytes(80) + body, [tx.txid() for tx in transactions])


def decode(batch: Batch, *blocks: bytes, behind: bytes = b"") -> tuple[int, int, int]:
    """Decode blocks that lie one behind the other."""
    sizes = np.array([len(b) for b in blocks], np.int64)
    buf = np.frombuffer(b"".join(blocks) + behind + b"\0", np.uint8)
    return batch.decode(buf, np.cumsum(sizes) - sizes, sizes)


def rows_of(batch: Batch) -> Iterator[dict[str, object]]:
    """What the batch says of each transaction, as plain values."""
    for t in range(batch.n_tx):
        inputs = range(int(batch.tx_in[t]), int(batch.tx_in[t + 1]))
        outputs = range(int(batch.tx_out[t]), int(batch.tx_out[t + 1]))
        yield {
            "txid": batch.txid[t].tobytes(),
            "version": int(batch.version[t]),
            "locktime": int(batch.locktime[t]),
            "sizes": (int(batch.size[t]), int(batch.base_size[t])),
            "inputs": [
                (batch.in_outpoint[i].tobytes(), int(batch.in_sequence[i]), int(batch.in_signs[i])) for i in inputs
            ],
            "outputs": [
                (
                    int(batch.out_value[o]),
                    int(batch.out_type[o]),
                    batch.out_payload[at : at + int(batch.out_length[o])].tobytes(),
                )
                for o, at in ((o, int(batch.out_at[o])) for o in outputs)
            ],
        }


def read_plainly(raw: bytes) -> dict[str, object]:
    """The same of a raw transaction, by the decoder in plain Python."""
    parsed = parse_transaction(raw)
    witness = sum(len(compact(len(i.witness))) + sum(len(compact(len(w))) + len(w) for w in i.witness)
                  for i in parsed.inputs) + 2 if raw[4] == 0 else 0  # fmt: skip
    outputs = []
    for o in parsed.outputs:
        script_type, payload = classify(o.script)
        value = o.value_sat - (1 << 64 if o.value_sat >= 1 << 63 else 0)
        outputs.append((value, int(script_type), b"" if script_type == ScriptType.OP_RETURN else payload))
    return {
        "txid": parsed.txid,
        "version": parsed.version,
        "locktime": parsed.locktime,
        "sizes": (len(raw), len(raw) - witness),
        "inputs": [
            (i.txid + i.vout.to_bytes(4, "little"), i.sequence, signs(i.script, i.witness)) for i in parsed.inputs
        ],
        "outputs": outputs,
    }


def signs(script: bytes, witness: Sequence[bytes]) -> int:
    """How an input was signed: by its witness where there is one, else by what its scriptSig pushes."""
    for k, item in enumerate(witness):
        if item:
            return _signs(item, witness[k + 1] if k + 1 < len(witness) else b"")
    pushes: list[bytes] = []
    at = 0
    while at < len(script) and len(pushes) < 2:
        op = script[at]
        at += 1
        if op == 0:
            continue
        if op == 76 and at < len(script):
            op = script[at]
            at += 1
        elif op > 75:
            break
        if at + op > len(script):
            break
        pushes.append(script[at : at + op])
        at += op
    return _signs(pushes[0], pushes[1] if len(pushes) > 1 else b"") if pushes else 0


def _signs(signature: bytes, key: bytes) -> int:
    n = len(signature)
    if n in (64, 65):
        return 4 | (8 if n == 65 else 0)
    if 9 <= n <= 73 and signature[0] == 0x30 and signature[1] == n - 3 and signature[2] == 2:
        flags = 2 if signature[3] > 32 else 0
        return 1 | flags | (8 if signature[-1] != 1 else 0) | (16 if len(key) == 65 else 0)
    return 0
