"""Reads the real blocks of the reference material, whatever form each file has."""

import bz2
import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path


def framed(data: bytes) -> Iterator[bytes]:
    """The blocks of a `blk*.dat` file, until the magic bytes are no more."""
    at = 0
    while data[at : at + 4] == data[:4] and at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > len(data):
            break
        yield data[at + 8 : at + 8 + size]
        at += 8 + size


def real_blocks(path: Path) -> Iterator[bytes]:
    name = path.name
    if name.endswith(".json.gz"):
        found = json.loads(gzip.decompress(path.read_bytes()))
        for block in [found] if isinstance(found, str) else found:
            yield bytes.fromhex(block if isinstance(block, str) else block["block"])
    elif name.endswith(".hex.txt.gz"):
        yield from (bytes.fromhex(line) for line in gzip.decompress(path.read_bytes()).decode().split())
    elif name.endswith(".raw.zst"):
        yield subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    elif name.endswith(".raw"):
        yield path.read_bytes()
    else:
        yield from framed(bz2.decompress(path.read_bytes()) if name.endswith(".bz2") else path.read_bytes())


FILES = {
    "mainnet_0-4312.blk.dat": 4313, "mainnet_0-4521.blk.dat": 4522, "mainnet_227835.raw": 1, "mainnet_227836.raw": 1,
    "mainnet_277647.blk.dat.bz2": 1, "mainnet_300025.raw": 1, "mainnet_345003.json.gz": 1, "mainnet_367238.json.gz": 1,
    "mainnet_367239.json.gz": 1, "mainnet_367240.json.gz": 1, "mainnet_367891.raw.zst": 1, "mainnet_403617.blk": 1,
    "mainnet_413567.raw": 1, "mainnet_481815.raw": 1, "mainnet_481829.raw": 1, "mainnet_482253_482202.blk": 2,
    "mainnet_556977.blk": 1, "mainnet_866342.raw.zst": 1, "signet_0-120.json.gz": 121, "testnet3_0-2016.json.gz": 2017,
    "testnet3_1-4000.hex.txt.gz": 4000, "testnet3_1087400.raw": 1, "testnet3_928828.raw": 1, "testnet3_928848.raw": 1,
    "testnet3_928849.raw": 1,
}  # fmt: skip
"""Every file of real blocks, and how many there are in it."""
