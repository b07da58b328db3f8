"""Reading an address's text, against python-bitcoinlib, which must give the same script.

python benchmarks/addresses.py [--rounds N]

CPU seconds of one core; medians of rounds that take turns. Forms are those that the peer knows.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

from bitcoin.wallet import CBitcoinAddress

from geldspur.bitcoin.addresses import decode, encode
from geldspur.bitcoin.networks import MAINNET
from geldspur.bitcoin.scripts import ScriptType, script_of

FORMS = {"P2PKH": (ScriptType.P2PKH, 20), "P2SH": (ScriptType.P2SH, 20), "P2WPKH": (ScriptType.P2WPKH, 20),
         "P2WSH": (ScriptType.P2WSH, 32)}  # fmt: skip
TEXTS = 2_000


def ours(text: str) -> bytes:
    return script_of(*decode(text, MAINNET))


def theirs(text: str) -> bytes:
    return bytes(CBitcoinAddress(text).to_scriptPubKey())


def microseconds(read: Callable[[str], bytes], texts: list[str]) -> float:
    """CPU of one text."""
    began = time.process_time()
    for text in texts:
        read(text)
    return (time.process_time() - began) / len(texts) * 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    print(f"{platform.machine()}, Python {sys.version.split()[0]}, python-bitcoinlib {version('python-bitcoinlib')}")
    for name, (kind, size) in FORMS.items():
        payloads = [n.to_bytes(4, "little") * (size // 4) for n in range(TEXTS)]
        texts = [encode(kind, payload, MAINNET) or "" for payload in payloads]
        assert [ours(text) for text in texts] == [theirs(text) for text in texts]
        pairs = [(microseconds(ours, texts), microseconds(theirs, texts)) for _ in range(rounds)]
        own, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"{name:7} ours {own:6.1f} us, python-bitcoinlib {peer:6.1f} us: {peer / own:5.1f} times")


if __name__ == "__main__":
    main()
