"""The Bitcoin networks: magic bytes, genesis blocks, address prefixes, limits of work.

Source: Bitcoin Core, src/kernel/chainparams.cpp.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """What tells one network's blocks and addresses from another's.

    Hashes are in the byte order of the wire; `genesis_hash` is reversed for display.
    """

    name: str
    magic: bytes
    genesis_hash: bytes
    p2pkh_version: int
    p2sh_version: int
    bech32_hrp: str
    pow_limit: int
    halving_interval: int

    @property
    def genesis_id(self) -> str:
        """The genesis block's hash as people write it."""
        return self.genesis_hash[::-1].hex()


def _network(name: str, magic: str, genesis: str, p2pkh: int, p2sh: int, hrp: str, limit: int, halving: int) -> Network:
    return Network(name, bytes.fromhex(magic), bytes.fromhex(genesis)[::-1], p2pkh, p2sh, hrp, limit, halving)


_MAIN_LIMIT = (1 << 224) - 1
_SIGNET_LIMIT = 0x00000377AE000000000000000000000000000000000000000000000000000000
_REGTEST_LIMIT = (1 << 255) - 1

MAINNET = _network(
    "mainnet", "f9beb4d9", "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    0x00, 0x05, "bc", _MAIN_LIMIT, 210_000,
)  # fmt: skip
TESTNET3 = _network(
    "testnet3", "0b110907", "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    0x6F, 0xC4, "tb", _MAIN_LIMIT, 210_000,
)  # fmt: skip
TESTNET4 = _network(
    "testnet4", "1c163f28", "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    0x6F, 0xC4, "tb", _MAIN_LIMIT, 210_000,
)  # fmt: skip
SIGNET = _network(
    "signet", "0a03cf40", "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    0x6F, 0xC4, "tb", _SIGNET_LIMIT, 210_000,
)  # fmt: skip
REGTEST = _network(
    "regtest", "fabfb5da", "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
    0x6F, 0xC4, "bcrt", _REGTEST_LIMIT, 150,
)  # fmt: skip

NETWORKS: dict[str, Network] = {n.name: n for n in (MAINNET, TESTNET3, TESTNET4, SIGNET, REGTEST)}
