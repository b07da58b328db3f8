"""Address text to script type and payload, and back.

Sources: Bitcoin Core, src/key_io.cpp; BIP173 (Bech32), BIP350 (Bech32m), BIP141 (witness programs).
"""

from typing import NamedTuple

from geldspur.bitcoin import base58, bech32
from geldspur.bitcoin.networks import NETWORKS, Network
from geldspur.bitcoin.scripts import ScriptType, script_of, witness_program
from geldspur.errors import GeldspurError

_HASH_SIZE = 20
_BASE58_SIZE = 1 + _HASH_SIZE
_MAX_LENGTH = bech32.MAX_LENGTH
_PRIVATE_KEY_VERSIONS = (0x80, 0xEF)


class _PrivateKeyError(ValueError):
    """The text is a secret, which no message may repeat."""


class Decoded(NamedTuple):
    """What an address says: the type of script, and its payload as `scripts.classify` gives it."""

    script_type: ScriptType
    payload: bytes


class AddressError(GeldspurError):
    """A text that can't be used as an address of the network at hand: malformed, or foreign."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason
        super().__init__(f"{text!a} is not usable as an address: {reason}")


class MalformedAddress(AddressError):
    """No Bitcoin network's address: a wrong character, length or checksum; `reason` says which."""


class ForeignAddress(AddressError):
    """A valid address of another network; `networks` names every one that it fits."""

    def __init__(self, text: str, network: Network, networks: tuple[str, ...]) -> None:
        self.networks = networks
        super().__init__(text, f"an address of {' or '.join(networks)}, not of {network.name}")


def _networks_by_version() -> dict[int, tuple[ScriptType, tuple[str, ...]]]:
    found: dict[int, tuple[ScriptType, tuple[str, ...]]] = {}
    for network in NETWORKS.values():
        versions = ((network.p2pkh_version, ScriptType.P2PKH), (network.p2sh_version, ScriptType.P2SH))
        for version, script_type in versions:
            found[version] = (script_type, (*found.get(version, (script_type, ()))[1], network.name))
    return found


_BY_VERSION = _networks_by_version()
_BY_PREFIX: dict[str, tuple[str, ...]] = {
    prefix: tuple(n.name for n in NETWORKS.values() if n.bech32_hrp == prefix)
    for prefix in {n.bech32_hrp for n in NETWORKS.values()}
}
_BECH32_STARTS = tuple(f"{prefix}1" for prefix in sorted(_BY_PREFIX))
_WITNESS_TYPES = frozenset(
    (ScriptType.P2WPKH, ScriptType.P2WSH, ScriptType.P2TR, ScriptType.WITNESS_UNKNOWN),
)
_WITNESS_V0 = {20: ScriptType.P2WPKH, 32: ScriptType.P2WSH}


def decode(text: str, network: Network) -> Decoded:
    """Read an address of `network`.

    Raises MalformedAddress where the text is no Bitcoin address at all, ForeignAddress where it is one of
    other networks only. testnet3, testnet4 and signet share all their prefixes, the Base58 ones with regtest
    too.
    """
    try:
        if len(text) > _MAX_LENGTH:
            raise ValueError(f"longer than {_MAX_LENGTH} characters")
        if text[:5].lower().startswith(_BECH32_STARTS):
            decoded, names = _decode_segwit(text)
        else:
            decoded, names = _decode_base58(text)
    except _PrivateKeyError as error:
        raise MalformedAddress(f"{text[:1]}...", str(error)) from None
    except ValueError as error:
        raise MalformedAddress(text, str(error)) from None
    if network.name not in names:
        raise ForeignAddress(text, network, names)
    return decoded


def encode(script_type: ScriptType, payload: bytes, network: Network) -> str | None:
    """The address of a script on `network`; None for the types that have none (P2PK, multisig, odd ones)."""
    if script_type == ScriptType.P2PKH:
        return base58.check_encode(bytes([network.p2pkh_version]) + payload)
    if script_type == ScriptType.P2SH:
        return base58.check_encode(bytes([network.p2sh_version]) + payload)
    if script_type not in _WITNESS_TYPES:
        return None
    program = witness_program(script_of(script_type, payload))
    if program is None:
        raise ValueError(f"not a witness program: {payload.hex()}")
    version, data = program
    constant = bech32.BECH32M if version else bech32.BECH32
    return bech32.encode(network.bech32_hrp, bytes([version]) + bech32.bytes_to_values(data), constant)


def _decode_base58(text: str) -> tuple[Decoded, tuple[str, ...]]:
    try:
        data = base58.check_decode(text)
    except ValueError:
        _refuse_foreign_bech32(text)
        raise
    if len(data) != _BASE58_SIZE:
        if data[0] in _PRIVATE_KEY_VERSIONS and len(data) in (33, 34):
            raise _PrivateKeyError("a private key, not an address")
        raise ValueError(f"a Base58 text of {len(data)} bytes where an address has {_BASE58_SIZE}")
    known = _BY_VERSION.get(data[0])
    if known is None:
        raise ValueError(f"the version byte 0x{data[0]:02x} is not one of a Bitcoin network")
    script_type, names = known
    return Decoded(script_type, data[1:]), names


def _refuse_foreign_bech32(text: str) -> None:
    """Raise a better reason than Base58's where the text is valid Bech32 of something else than Bitcoin."""
    try:
        prefix, _, _ = bech32.decode(text)
    except ValueError:
        return
    raise ValueError(f"the prefix {prefix!a} is not one of a Bitcoin network")


def _decode_segwit(text: str) -> tuple[Decoded, tuple[str, ...]]:
    prefix, values, constant = bech32.decode(text)
    names = _BY_PREFIX.get(prefix)
    if names is None:
        raise ValueError(f"the prefix {prefix!a} is not one of a Bitcoin network")
    if not values:
        raise ValueError("no witness version")
    version = values[0]
    if version > 16:
        raise ValueError(f"witness version {version} where the highest is 16")
    program = bech32.values_to_bytes(values[1:])
    if constant != (bech32.BECH32M if version else bech32.BECH32):
        raise ValueError("a Bech32 checksum where Bech32m is due, or the reverse")
    size = len(program)
    if not 2 <= size <= 40:
        raise ValueError(f"a witness program of {size} bytes where 2 to 40 are allowed")
    if version == 0:
        script_type = _WITNESS_V0.get(size)
        if script_type is None:
            raise ValueError(f"a version 0 witness program of {size} bytes where 20 or 32 are due")
        return Decoded(script_type, program), names
    if version == 1 and size == 32:
        return Decoded(ScriptType.P2TR, program), names
    return Decoded(ScriptType.WITNESS_UNKNOWN, bytes([0x50 + version, size]) + program), names
