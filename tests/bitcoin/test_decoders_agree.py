"""The batch decoder and the one that it replaces agree on columns, faults and offsets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_blocks import decode
from real_blocks import FILES, framed, real_blocks
from test_batch import SMALL

from geldspur.bitcoin import kernels
from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger.build import _empty_part


@pytest.fixture(scope="module")
def batch():
    return Batch(24_000_000)


def assert_agree(batch, blocks):
    assert decode(batch, *blocks)[0] == kernels.OK
    buf = np.frombuffer(b"".join(blocks), np.uint8).copy()
    start = 0
    for k, block in enumerate(blocks):
        end = start + len(block)
        n_tx, n_in, n_out, largest, fault, _ = kernels.measure_block(buf, start, end)
        assert fault == kernels.OK
        old = _empty_part(n_tx, n_in, n_out)
        kernels.decode_block(buf, start, end, *old.values(), 0, 0, 0, np.empty(largest + 128, np.uint8))
        start = end
        t = slice(int(batch.block_tx[k]), int(batch.block_tx[k + 1]))
        i = slice(int(batch.tx_in[t.start]), int(batch.tx_in[t.stop]))
        o = slice(int(batch.tx_out[t.start]), int(batch.tx_out[t.stop]))
        length = np.where(old["out_type"] == ScriptType.OP_RETURN, 0, old["out_end"] - old["out_start"])
        outpoint = buf[batch.in_at[i].astype(np.int64)[:, None] + np.arange(36)]
        for name, rows in {
            "txid": batch.txid[t], "version": batch.version[t], "locktime": batch.locktime[t], "size": batch.size[t],
            "base_size": batch.base_size[t], "tx_in": batch.tx_in[t] - i.start, "tx_out": batch.tx_out[t] - o.start,
            "in_txid": outpoint[:, :32], "in_vout": np.ascontiguousarray(outpoint[:, 32:]).view("<u4").ravel(),
            "in_sequence": batch.in_sequence[i], "in_signs": batch.in_signs[i], "out_value": batch.out_value[o],
            "out_type": batch.out_type[o], "out_start": batch.out_at[o],
        }.items():  # fmt: skip
            assert np.array_equal(rows, old[name]), name
        assert np.array_equal(batch.out_length[o], length)


def test_on_case_a(batch, unpacked):
    assert_agree(batch, list(framed((unpacked("A") / "blocks" / "blk00000.dat").read_bytes())))


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".zst")])
def test_on_real_blocks(batch, shared, name):
    assert_agree(batch, list(real_blocks(shared / "real" / "blocks" / name)))


@settings(max_examples=400)
@given(st.data())
def test_on_mutated_blocks(batch, data):
    mutated = bytearray(SMALL[: data.draw(st.integers(0, len(SMALL))) if data.draw(st.booleans()) else None])
    for _ in range(data.draw(st.integers(0, 5))):
        if len(mutated) > 80:
            mutated[data.draw(st.integers(80, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    *_, old, old_at = kernels.measure_block(np.frombuffer(bytes(mutated) + bytes(1), np.uint8).copy(), 0, len(mutated))
    fault, _, at = decode(batch, bytes(mutated))
    if old == kernels.OK:
        assert fault in (kernels.OK, kernels.BAD_ROOT, kernels.TWIN)
    else:
        assert (fault, at) == (old, old_at)
