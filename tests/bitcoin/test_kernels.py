"""What plain Python and the kernels share: the numbers of script types, and what is no transaction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geldspur.bitcoin import script_kernels
from geldspur.bitcoin.scripts import ScriptType
from geldspur.bitcoin.transactions import TransactionError, parse_transaction


@given(st.binary(max_size=400))
def test_noise_is_never_a_transaction(noise):
    with pytest.raises(TransactionError):
        parse_transaction(noise + b"\xfe\x00")


def test_the_kernels_types_are_those_of_the_enumeration():
    names = ["NONSTANDARD", "P2PK", "P2PKH", "P2SH", "P2WPKH", "P2WSH", "P2TR", "MULTISIG", "WITNESS", "RETURN"]
    for number, name in enumerate(names):
        assert getattr(script_kernels, f"_{name}") == number
        assert ScriptType(number).name.startswith(name) or ScriptType(number).name.endswith(name)
