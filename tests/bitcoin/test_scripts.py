import pytest
from hypothesis import given
from hypothesis import strategies as st

from geldspur.bitcoin.scripts import MAX_SCRIPT_SIZE, ScriptType, classify, is_unspendable, script_of

KEY33 = bytes([2]) + bytes(32)
KEY65 = bytes([4]) + bytes(64)


def _push(data: bytes) -> bytes:
    return bytes([len(data)]) + data


@pytest.mark.parametrize(
    ("script", "expected", "payload"),
    [
        (b"\x76\xa9\x14" + b"\x07" * 20 + b"\x88\xac", ScriptType.P2PKH, b"\x07" * 20),
        (b"\xa9\x14" + b"\x07" * 20 + b"\x87", ScriptType.P2SH, b"\x07" * 20),
        (b"\x00\x14" + b"\x07" * 20, ScriptType.P2WPKH, b"\x07" * 20),
        (b"\x00\x20" + b"\x07" * 32, ScriptType.P2WSH, b"\x07" * 32),
        (b"\x51\x20" + b"\x07" * 32, ScriptType.P2TR, b"\x07" * 32),
        # Core's anchor, a version 1 program of two bytes, is no Taproot output
        (b"\x51\x02\x4e\x73", ScriptType.WITNESS_UNKNOWN, None),
        (b"\x60\x28" + b"\x07" * 40, ScriptType.WITNESS_UNKNOWN, None),
        (b"\x60\x29" + b"\x07" * 41, ScriptType.NONSTANDARD, None),
        (b"\x51\x01\x07", ScriptType.NONSTANDARD, None),
        (b"\x61\x02\x07\x07", ScriptType.NONSTANDARD, None),
        (b"\x00\x10" + b"\x07" * 16, ScriptType.NONSTANDARD, None),
        (_push(KEY33) + b"\xac", ScriptType.P2PK, None),
        (_push(KEY65) + b"\xac", ScriptType.P2PK, None),
        (_push(b"\x05" + bytes(32)) + b"\xac", ScriptType.NONSTANDARD, None),
        (b"\x51" + _push(KEY33) + b"\x51\xae", ScriptType.MULTISIG, None),
        (b"\x52" + _push(KEY33) + _push(KEY65) + _push(KEY33) + b"\x53\xae", ScriptType.MULTISIG, None),
        (b"\x52" + _push(KEY33) + b"\x51\xae", ScriptType.NONSTANDARD, None),
        (b"\x51" + _push(KEY33) + b"\x52\xae", ScriptType.NONSTANDARD, None),
        (b"\x6a", ScriptType.OP_RETURN, None),
        (b"\x6a\x20" + bytes(32), ScriptType.OP_RETURN, None),
        (b"\x6a\x4c", ScriptType.OP_RETURN, None),
        (b"\x00\x6a", ScriptType.NONSTANDARD, None),
        (b"", ScriptType.NONSTANDARD, None),
        (b"\xae", ScriptType.NONSTANDARD, None),
        (b"\x51" * MAX_SCRIPT_SIZE, ScriptType.NONSTANDARD, None),
        (b"\x51" * (MAX_SCRIPT_SIZE + 1), ScriptType.OP_RETURN, None),
    ],
)
def test_each_form_of_script_has_its_type_and_payload(
    script: bytes, expected: ScriptType, payload: bytes | None
) -> None:
    assert classify(script) == (expected, script if payload is None else payload)
    assert script_of(*classify(script)) == script
    assert is_unspendable(script) == (expected == ScriptType.OP_RETURN)


def test_a_payload_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a p2wsh payload has 32 bytes, got 20"):
        script_of(ScriptType.P2WSH, bytes(20))


_NEAR_MISSES = st.lists(
    st.one_of(
        st.sampled_from([KEY33, KEY65, bytes(20), bytes(32)]).map(_push),
        st.sampled_from([b"\x76\xa9\x14", b"\x88\xac", b"\xa9\x14", b"\x87", b"\x51\x20", b"\x00\x14", b"\x6a"]),
        st.sampled_from([b"\x51", b"\x52", b"\x53", b"\x60", b"\xac", b"\xae", b"\x02", b"\x28"]),
        st.binary(max_size=40),
    ),
    max_size=6,
).map(b"".join)


@given(_NEAR_MISSES)
def test_the_bulk_kernel_sees_every_script_as_the_plain_rules_do(script: bytes) -> None:
    import numpy as np

    from geldspur.bitcoin import script_kernels

    before = b"\x51\x21"
    buffer = np.frombuffer(before + script + b"\xae\xac", dtype=np.uint8)
    script_type, start, end = script_kernels.classify(buffer, len(before), len(before) + len(script))
    assert (ScriptType(script_type), buffer[start:end].tobytes()) == classify(script)
    assert script_of(*classify(script)) == script
