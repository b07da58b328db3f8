#!/usr/bin/env python3
"""Check a Geldspur package without trusting who made it.

    python verify.py [PACKAGE] [--headers FILE] [--json]

PACKAGE is the zip file, or the directory that it was unpacked into; without it, the directory that this file
lies in. FILE holds raw block headers of 80 bytes from the network's first block on, or one in hex a line.
Exit code: 0 verified, 1 not verified, 2 wrong use.

This file needs Python 3.9 or later and nothing else. A copy travels as verify.py inside each package; whoever
made a package could have changed that copy, so take this file from elsewhere, or compare the SHA-256 that it
prints.

Part of Geldspur, under the Apache License 2.0. It imports nothing of Geldspur, and it is one long file,
because it must travel alone. Files hold hashes as people write them: the reverse of the wire's byte order.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import io
import json
import math
import os
import re
import stat
import struct
import sys
import textwrap
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

PACKAGE_FORMAT = "geldspur-package/1"
REPORT_FORMAT = "geldspur-verification/1"
MANIFEST = "manifest.json"
REQUIRED = (
    "README.txt",
    "cashouts.jsonl",
    "leads.jsonl",
    "proof/blocks.jsonl",
    "proof/transactions.jsonl",
    "verify.py",
)

# What a package may hold at most. Nothing in it is compressed, so its size on disk is its size.
MAX_FILES = 20_000
MAX_BYTES = 2_000_000_000
MAX_HEADERS_BYTES = 1_000_000_000
MAX_SHOWN = 3

COIN = 100_000_000
MAX_MONEY = 21_000_000 * COIN
MAX_BASE_SIZE = 1_000_000  # bytes of a block without witnesses
MAX_WEIGHT = 4_000_000
MAX_DEPTH = 15  # 1,000,000 bytes hold at most 16,666 transactions of the least size, 60 bytes
INNER_NODE_SIZE = 64
HEADER_SIZE = 80
NULL_HASH = bytes(32)
NULL_INDEX = 0xFFFFFFFF
RETARGET = 2016
RETARGET_SECONDS = 14 * 24 * 3600

# On mainnet, block 227,931 of 2013-03-24 is the first whose coinbase must carry the height (BIP34).
BIP34_MAINNET_HEIGHT = 227_931
BIP34_MAINNET_SURE = 1_364_256_000  # 2013-03-26, later than any earlier block's time


class Refused(Exception):
    """Something in the package is not as it must be; the text says what."""


class WrongUse(Exception):
    """The program was asked for something that it can't do; the text says what."""


@dataclass(frozen=True)
class Network:
    """What tells one network from another (Bitcoin Core, src/kernel/chainparams.cpp)."""

    genesis: str
    p2pkh: int
    p2sh: int
    hrp: str
    limit: int
    limit_bits: int


_LIMIT = (1 << 224) - 1
_BITS = 0x1D00FFFF
_SIGNET = 0x377AE << 216
_REGTEST = (1 << 255) - 1
_GENESIS = {
    "mainnet": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    "testnet3": "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    "testnet4": "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    "signet": "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    "regtest": "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
}
NETWORKS = {
    "mainnet": Network(_GENESIS["mainnet"], 0x00, 0x05, "bc", _LIMIT, _BITS),
    "testnet3": Network(_GENESIS["testnet3"], 0x6F, 0xC4, "tb", _LIMIT, _BITS),
    "testnet4": Network(_GENESIS["testnet4"], 0x6F, 0xC4, "tb", _LIMIT, _BITS),
    "signet": Network(_GENESIS["signet"], 0x6F, 0xC4, "tb", _SIGNET, 0x1E0377AE),
    "regtest": Network(_GENESIS["regtest"], 0x6F, 0xC4, "bcrt", _REGTEST, 0x207FFFFF),
}


# Hashes, numbers and text


def double_sha256(data: bytes) -> bytes:
    """Bitcoin's hash."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def shown(digest: bytes) -> str:
    """A hash as people write it."""
    return digest[::-1].hex()


def utc(seconds: int) -> str:
    """A block's time as the rows of a package hold it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def counted(number: int, noun: str) -> str:
    """`1 lead`, `2 leads`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def plain(text: object, limit: int = 300) -> str:
    """Text from a package, made safe for a terminal: printable ASCII, of limited length."""
    safe = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in str(text)[:limit])
    return safe[:limit]


# Transactions


@dataclass(frozen=True)
class TxIn:
    """An input: the output that it spends, and its script."""

    txid: str
    vout: int
    script: bytes


@dataclass(frozen=True)
class TxOut:
    """An output: its value in satoshi, and its script."""

    value: int
    script: bytes


@dataclass(frozen=True)
class Tx:
    """A transaction, and its id as its bytes give it."""

    txid: str
    inputs: list[TxIn]
    outputs: list[TxOut]
    base_size: int

    @property
    def is_coinbase(self) -> bool:
        """Is this the transaction of a block that makes new coins?"""
        return len(self.inputs) == 1 and self.spends_nothing

    @property
    def spends_nothing(self) -> bool:
        """Has it an input without an output to spend?"""
        return any(i.vout == NULL_INDEX and i.txid == NULL_HASH.hex() for i in self.inputs)


class Reader:
    """Reads wire types off raw bytes; Refused where they end early, or where a length has a longer form."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > len(self.raw) - self.at:
            raise Refused(f"{size} bytes wanted at byte {self.at}, {len(self.raw) - self.at} left")
        self.at += size
        return self.raw[self.at - size : self.at]

    def number(self, size: int) -> int:
        """A little-endian number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def compact(self) -> int:
        """A length of variable size."""
        first = self.number(1)
        if first < 0xFD:
            return first
        size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
        value = self.number(size)
        if value < {2: 0xFD, 4: 1 << 16, 8: 1 << 32}[size]:
            raise Refused(f"a length in a longer form than needed before byte {self.at}")
        return value

    def count(self, least: int) -> int:
        """A number of things of at least `least` bytes each."""
        count = self.compact()
        if count * least > len(self.raw) - self.at:
            raise Refused(f"{count} entries said before byte {self.at}, too many for the bytes left")
        return count


def parse_transaction(raw: bytes) -> Tx:
    """Read a whole transaction and compute its id without the witness. Refused for anything else than one."""
    reader = Reader(raw)
    version = reader.take(4)
    segwit = raw[4:5] == b"\0"
    if segwit and reader.take(2) != b"\0\1":
        raise Refused("no inputs, or an unknown form of witness")
    body = reader.at
    inputs = [
        TxIn(shown(reader.take(32)), reader.number(4), _script_and_sequence(reader)) for _ in range(reader.count(41))
    ]
    outputs = [TxOut(reader.number(8), reader.take(reader.compact())) for _ in range(reader.count(9))]
    stripped = raw[body : reader.at]
    if segwit:
        items = [reader.take(reader.compact()) for _ in inputs for _ in range(reader.count(1))]
        if not items:
            raise Refused("a witness is announced, and there is none")
    stripped = version + stripped + reader.take(4)
    if reader.at != len(raw):
        raise Refused(f"{len(raw) - reader.at} bytes behind the transaction's end")
    if not inputs or not outputs:
        raise Refused("a transaction without inputs or outputs")
    if sum(o.value for o in outputs) > MAX_MONEY:
        raise Refused("outputs of more than all bitcoins")
    if 3 * len(stripped) + len(raw) > MAX_WEIGHT:
        raise Refused("a transaction heavier than a block")
    return Tx(shown(double_sha256(stripped)), inputs, outputs, len(stripped))


def _script_and_sequence(reader: Reader) -> bytes:
    script = reader.take(reader.compact())
    reader.take(4)
    return script


# Addresses

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def base58check(payload: bytes) -> str:
    """Base58 with a checksum of four bytes."""
    data = payload + double_sha256(payload)[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit in range(5):
            check ^= _BECH32_GENERATOR[bit] if top >> bit & 1 else 0
    return check


def segwit_address(hrp: str, version: int, program: bytes) -> str:
    """A witness program's address: Bech32 for version 0 (BIP173), Bech32m for later ones (BIP350)."""
    bits = int.from_bytes(program, "big")
    size = 8 * len(program)
    padding = -size % 5
    bits <<= padding
    values = [version] + [bits >> at & 31 for at in range(size + padding - 5, -1, -5)]
    prefix = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    check = _polymod(prefix + values + [0] * 6) ^ (0x2BC830A3 if version else 1)
    values += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return hrp + "1" + "".join(_BECH32[v] for v in values)


def address_of(script: bytes, network: Network) -> str | None:
    """The address of an output's script; None where it has none."""
    size = len(script)
    if size == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return base58check(bytes([network.p2pkh]) + script[3:23])
    if size == 23 and script[:2] == b"\xa9\x14" and script[22] == 0x87:
        return base58check(bytes([network.p2sh]) + script[2:22])
    if 4 <= size <= 42 and (script[0] == 0 or 0x51 <= script[0] <= 0x60) and script[1] == size - 2:
        version = script[0] - 0x50 if script[0] else 0
        if version or size in (22, 34):
            return segwit_address(network.hrp, version, script[2:])
    return None


def names_of(script: bytes, network: Network) -> set[str]:
    """How joins name a script: its address, or a type and the start of its SHA-256 where it has none."""
    address = address_of(script, network)
    if address:
        return {address}
    start = hashlib.sha256(script).hexdigest()[:16]
    return {f"{kind}:{start}" for kind in ("p2pk", "multisig", "nonstandard")}


# Blocks and Merkle branches


@dataclass
class Block:
    """A block of which a package holds the header and the coinbase.

    `low` and `high` bound the number of its transactions (low < n <= high), as its branches show it.
    """

    height: int
    hash: str
    header: bytes
    coinbase: str
    depth: int
    low: int
    high: int

    @property
    def time(self) -> int:
        """The header's time, seconds UTC."""
        return int.from_bytes(self.header[68:72], "little")

    @property
    def bits(self) -> int:
        """The header's target in its compact form."""
        return int.from_bytes(self.header[72:76], "little")


@dataclass(frozen=True)
class Proven:
    """A transaction whose branch leads to its block's root."""

    tx: Tx
    block: Block
    position: int


def target_of(bits: int) -> int:
    """The target that compact bits stand for (Core's SetCompact); Refused where they stand for none."""
    size, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa >> 8 * (3 - size) if size <= 3 else mantissa << 8 * (size - 3)
    if bits & 0x800000 or target == 0 or target >> 256:
        raise Refused(f"the bits {bits:08x} stand for no target")
    return target


def compact_of(target: int) -> int:
    """The compact form of a target (Core's GetCompact)."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


def check_work(header: bytes, digest: bytes, network: Network) -> int:
    """A header's work, as an expected number of hashes; Refused where it shows less than it claims."""
    target = target_of(int.from_bytes(header[72:76], "little"))
    if target > network.limit:
        raise Refused("its target is easier than the network allows")
    if int.from_bytes(digest, "little") > target:
        raise Refused("its hash does not reach its own target")
    return (1 << 256) // (target + 1)


def climb(leaf: bytes, branch: list[bytes], position: int) -> tuple[bytes, int, int]:
    """Climb a branch to its root: (root, low, high). The branch shows low < n <= high for the n of leaves.

    A node stands beside itself only where it is the last of its level, on the left. A copy on the right would
    be the second of two equal halves, which the tree can't tell from a repeated last node (CVE-2012-2459);
    there the position would be a free choice.
    """
    depth = len(branch)
    if position >> depth:
        raise Refused(f"position {position} does not fit a branch of {depth} levels")
    low, high = max(position, (1 << depth) // 2), 1 << depth
    node = leaf
    for level, sibling in enumerate(branch):
        index, width = position >> level, 1 << level
        if index & 1:
            if sibling == node:
                raise Refused("a repeated node is passed off as a position of its own")
            node = double_sha256(sibling + node)
            continue
        if sibling == node:
            low, high = max(low, index * width), min(high, (index + 1) * width)
        else:
            low = max(low, (index + 1) * width)
        node = double_sha256(node + sibling)
    if low >= high:
        raise Refused("no number of transactions has such a branch")
    return node, low, high


def height_push(height: int) -> bytes:
    """How a coinbase's script begins that carries its height (BIP34: the shortest push of the number)."""
    if height <= 16:
        return bytes([0x50 + height if height else 0])
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    return bytes([len(number)]) + number


def check_height(block: Block, coinbase: Tx, network_name: str) -> bool:
    """Does the coinbase carry the block's height? Refused where it must and does not."""
    carries = coinbase.inputs[0].script.startswith(height_push(block.height))
    if network_name == "mainnet":
        due = block.height >= BIP34_MAINNET_HEIGHT or block.time >= BIP34_MAINNET_SURE
    else:
        due = int.from_bytes(block.header[:4], "little", signed=True) >= 2
    if due and not carries:
        raise Refused(f"its coinbase does not carry the height {block.height}")
    return carries


# The archive and its manifest

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_DATE_1980 = 0x21
_MODE = 0o100644 << 16


def check_name(name: str) -> str:
    """A name that no system takes for a place outside the directory that it is unpacked into."""
    if len(name) > 200 or not _NAME.match(name):
        raise Refused(f"the file name '{plain(name)}' is not allowed")
    return name


def archive(files: dict[str, bytes]) -> Iterator[bytes]:
    """The one zip archive of these files, in pieces: sorted by name, uncompressed, no time, no owner.

    There is no second form, so that a reader can't be shown other files than the verifier.
    """
    offset = 0
    directory = b""
    for name in sorted(files):
        data, raw_name = files[name], name.encode("ascii")
        about = (0, 0, 0, _DATE_1980, zlib.crc32(data), len(data), len(data), len(raw_name), 0)
        yield _LOCAL.pack(b"PK\3\4", 20, *about) + raw_name
        yield data
        directory += _CENTRAL.pack(b"PK\1\2", 0x0314, 20, *about, 0, 0, 0, _MODE, offset) + raw_name
        offset += _LOCAL.size + len(raw_name) + len(data)
    yield directory + _END.pack(b"PK\5\6", 0, 0, len(files), len(files), len(directory), offset, 0)


def _read_archive(path: Path) -> dict[str, bytes]:
    if path.stat().st_size > MAX_BYTES:
        raise Refused(f"the archive is larger than {MAX_BYTES} bytes")
    raw = memoryview(path.read_bytes())
    files: dict[str, bytes] = {}
    taken: set[str] = set()
    at = 0
    while bytes(raw[at : at + 4]) == b"PK\3\4":
        if len(raw) - at < _LOCAL.size:
            raise Refused("the archive is cut off")
        _, _, flags, method, _, _, _, size, _, name_size, extra = _LOCAL.unpack(raw[at : at + _LOCAL.size])
        start = at + _LOCAL.size + name_size + extra
        name = check_name(bytes(raw[at + _LOCAL.size : start - extra]).decode("latin-1"))
        if method or flags or extra:
            raise Refused(f"{name} is not stored as sealed (packed anew? unpack it and verify the directory)")
        if name.lower() in taken:
            raise Refused(f"{name} is there twice")
        taken.add(name.lower())
        if start + size > len(raw) or len(files) >= MAX_FILES:
            raise Refused("the archive is cut off, or holds too many files")
        files[name] = bytes(raw[start : start + size])
        at = start + size
    done = 0
    for piece in archive(files):
        if raw[done : done + len(piece)] != piece:
            raise Refused("the archive is not as sealed (packed anew? unpack it and verify the directory)")
        done += len(piece)
    if done != len(raw):
        raise Refused(f"{len(raw) - done} bytes behind the archive's end")
    return files


def _read_directory(path: Path) -> dict[str, bytes]:
    found: dict[str, Path] = {}
    total = 0
    for folder, subfolders, members in os.walk(path):
        for member in sorted(subfolders + members):
            full = Path(folder, member)
            about = full.lstat()
            name = full.relative_to(path).as_posix()
            if stat.S_ISREG(about.st_mode):
                found[check_name(name)] = full
                total += about.st_size
            elif not stat.S_ISDIR(about.st_mode):
                raise Refused(f"{plain(name)} is neither a file nor a directory")
        if total > MAX_BYTES or len(found) > MAX_FILES:
            raise Refused(f"more than {MAX_FILES} files or {MAX_BYTES} bytes")
    return {name: full.read_bytes() for name, full in sorted(found.items())}


def _whole(text: str) -> int:
    if len(text) > 20:
        raise Refused("a number of more than 20 digits")
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Refused("a number out of range")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise Refused(f"{plain(text)} is no number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Refused("a key is there twice")
    return result


def parse_json(raw: bytes, where: str) -> Node:
    """JSON as strictly as it is meant; Refused for anything else."""
    try:
        value = json.loads(
            raw.decode("utf-8"), parse_int=_whole, parse_float=_fraction, parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )  # fmt: skip
    except Refused as error:
        raise Refused(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where} is not JSON: {plain(error, 80)}") from None
    return Node(value, where)


class Node:
    """A value of a JSON document that knows where it stands, for messages."""

    def __init__(self, value: object, where: str) -> None:
        self.value = value
        self.where = where

    def wrong(self, what: str) -> NoReturn:
        """Refuse this value."""
        raise Refused(f"{self.where}: {what}")

    def __getitem__(self, key: str) -> Node:
        """A member that must be there; it may be null."""
        if not isinstance(self.value, dict) or key not in self.value:
            self.wrong(f"no '{key}'")
        return Node(self.value[key], f"{self.where} {key}")

    def maybe(self, key: str) -> Node | None:
        """A member that may be absent or null."""
        if not isinstance(self.value, dict):
            self.wrong("not an object")
        value = self.value.get(key)
        return None if value is None else Node(value, f"{self.where} {key}")

    def items(self) -> list[Node]:
        """The members of a list."""
        if not isinstance(self.value, list):
            self.wrong("not a list")
        return [Node(value, f"{self.where}[{i}]") for i, value in enumerate(self.value)]

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            self.wrong("not a text")
        return self.value

    def number(self) -> int:
        """A whole number, not negative."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 0:
            self.wrong("not a number")
        return self.value

    def hash(self) -> str:
        """A hash as people write it: 64 lower-case hex digits."""
        return self.hex(32).hex()

    def hex(self, size: int | None = None) -> bytes:
        """Bytes in lower-case hex."""
        text = self.text()
        if len(text) % 2 or not re.match(r"[0-9a-f]*\Z", text) or (size is not None and len(text) != 2 * size):
            self.wrong("not the hex digits that are due")
        return bytes.fromhex(text)

    def equals(self, value: object, what: str) -> None:
        """Refuse any other value than this one; None is a value."""
        if type(self.value) is not type(value) or self.value != value:
            self.wrong(f"says {plain(self.value, 80)}, {what} {plain(value, 80)}")


def dump_manifest(content: dict[str, object]) -> bytes:
    """The one form in which a manifest is written."""
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def read_manifest(raw: bytes) -> Node:
    """The manifest, if it is one: its form, its own digest, its network."""
    node = parse_json(raw, MANIFEST)
    node["format"].equals(PACKAGE_FORMAT, "this verifier reads")
    assert isinstance(node.value, dict)
    if dump_manifest(node.value) != raw:
        node.wrong("not in the form in which it was sealed")
    rest = {key: value for key, value in node.value.items() if key != "self_sha256"}
    node["self_sha256"].equals(hashlib.sha256(dump_manifest(rest)).hexdigest(), "its digest is")
    if node["network"].text() not in NETWORKS:
        node["network"].wrong("an unknown network")
    return node


# What a package claims, one check after the other


class Problems:
    """What a check found wrong; a few are told in full, the others counted."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def of(self, label: str) -> Iterator[None]:
        """Around one piece of a check: keeps what it refuses, and goes on."""
        try:
            yield
        except Refused as error:
            self.found.append(f"{label}: {error}")

    def settle(self) -> None:
        """Refuse if anything was found."""
        if self.found:
            more = len(self.found) - MAX_SHOWN
            raise Refused("; ".join(self.found[:MAX_SHOWN]) + (f"; and {more} more" if more > 0 else ""))


def cited_txids(value: object) -> set[str]:
    """Every transaction that a row cites: values of `txid`, and lists named `transactions`."""
    found: set[str] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key, member in item.items():
                if key == "txid" and isinstance(member, str):
                    found.add(member)
                elif key == "transactions" and isinstance(member, list):
                    found.update(m for m in member if isinstance(m, str))
                stack.append(member)
    return found


@dataclass(frozen=True)
class Claim:
    """A row of leads.jsonl or cashouts.jsonl. `about` is the part that names the service."""

    row: Node
    about: Node
    withdrawal: Node | None

    @property
    def payment(self) -> Node:
        """The payment to the site, or the deposit."""
        return self.row["payment"]

    @property
    def paths(self) -> list[Node]:
        """The path, then those of the alternatives that have one."""
        others = self.row["alternatives"].items() if self.withdrawal else []
        return [self.row["path"]] + [other["path"] for other in others if other["path"].items()]


class Package:
    """A package under check. Each method that `CHECKS` names is one check: a detail, or Refused.

    A check puts what it found sound into the tables that later checks look things up in, and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, bytes] = {}
        self.manifest = Node(None, MANIFEST)
        self.network_name = ""
        self.network = NETWORKS["mainnet"]
        self.country = ""
        self.headers: dict[str, tuple[Node, bytes, int]] = {}
        self.blocks: dict[str, Block] = {}
        self.transactions: dict[str, tuple[Node, Tx]] = {}
        self.proven: dict[str, Proven] = {}
        self.claims: list[Claim] = []
        self._spenders: dict[str, set[str]] = {}

    # Files

    def check_package(self) -> str:
        """The container is safe to read and holds what a package must."""
        kind = "directory" if self.path.is_dir() else "zip archive"
        self.files = _read_directory(self.path) if kind == "directory" else _read_archive(self.path)
        missing = [name for name in (MANIFEST, *REQUIRED) if name not in self.files]
        if missing:
            raise Refused("missing: " + ", ".join(missing))
        return f"{kind} of {counted(len(self.files), 'file')}, {sum(map(len, self.files.values())):,} bytes"

    def check_manifest(self) -> str:
        """The manifest is whole."""
        self.manifest = read_manifest(self.files[MANIFEST])
        self.network_name = self.manifest["network"].text()
        self.network = NETWORKS[self.network_name]
        self.country = self.manifest["country"].text()
        if not re.match(r"[A-Z]{2}\Z", self.country):
            self.manifest["country"].wrong("not two capital letters")
        return f"SHA-256 {hashlib.sha256(self.files[MANIFEST]).hexdigest()} (compare with the sender's)"

    def check_files(self) -> str:
        """Every file is listed, and as listed."""
        listed: dict[str, Node] = {}
        for entry in self.manifest["files"].items():
            name = check_name(entry["path"].text())
            if name in listed or name == MANIFEST:
                entry.wrong("listed twice, or the manifest itself")
            listed[name] = entry
        problems = Problems()
        for name in sorted((set(listed) | set(self.files)) - {MANIFEST}):
            with problems.of(name):
                if name not in listed:
                    raise Refused("not listed in the manifest")
                if name not in self.files:
                    raise Refused("listed in the manifest, and missing")
                listed[name]["size"].equals(len(self.files[name]), "the file's is")
                listed[name]["sha256"].equals(hashlib.sha256(self.files[name]).hexdigest(), "the file's is")
        problems.settle()
        return f"{len(listed)} files are as the manifest lists them; none is missing, none is unlisted"

    def check_verifier(self) -> str:
        """The verifier inside, compared with the one that runs."""
        inside, running = hashlib.sha256(self.files["verify.py"]).hexdigest(), own_sha256()
        same = "the same as" if inside == running else "not the same as"
        return f"the package's verify.py is as the manifest lists it, and {same} the verifier that runs"

    # Blocks and transactions

    def _lines(self, name: str) -> list[Node]:
        raw = self.files[name]
        if raw and not raw.endswith(b"\n"):
            raise Refused(f"{name} does not end with a line's end")
        return [parse_json(line, f"{name} line {i}") for i, line in enumerate(raw.split(b"\n")[:-1], 1)]

    def check_headers(self) -> str:
        """Each header is the hash that it claims, and shows its work."""
        problems = Problems()
        works: list[int] = []
        by_height: dict[int, str] = {}
        for node in self._lines("proof/blocks.jsonl"):
            with problems.of(node.where):
                header, height = node["header"].hex(HEADER_SIZE), node["height"].number()
                digest = double_sha256(header)
                node["hash"].equals(shown(digest), "its header's is")
                if height in by_height:
                    raise Refused(f"a second block at height {height}")
                is_first = shown(digest) == self.network.genesis
                if is_first != (height == 0) or is_first != (header[4:36] == NULL_HASH):
                    raise Refused("the network's first block, or one that poses as it")
                works.append(check_work(header, digest, self.network))
                by_height[height] = shown(digest)
                self.headers[shown(digest)] = node, header, height
        for height, digest_hex in by_height.items():
            below = by_height.get(height - 1)
            with problems.of(f"block {height}"):
                if below and shown(self.headers[digest_hex][1][4:36]) != below:
                    raise Refused("not the successor of the block before it")
        problems.settle()
        if not works:
            return "no block is cited"
        least = math.log2(min(works))
        return f"{counted(len(works), 'header')}; the least work behind one is 2^{least:.1f} hashes"

    def check_coinbases(self) -> str:
        """Each block's coinbase stands at the head of its Merkle tree, which gives the tree's depth."""
        problems = Problems()
        carrying = 0
        for digest, (node, header, height) in self.headers.items():
            with problems.of(node.where):
                tx = _parse(node["coinbase"]["raw"])
                script_size = len(tx.inputs[0].script)
                if not tx.is_coinbase or not 2 <= script_size <= 100:
                    raise Refused("no coinbase")
                low, high, depth = _check_branch(tx, node["coinbase"]["branch"], 0, header)
                block = Block(height, digest, header, tx.txid, depth, low, high)
                carrying += check_height(block, tx, self.network_name)
                self.blocks[digest] = block
        problems.settle()
        return f"{counted(len(self.blocks), 'block')} whose coinbase leads to the root; {carrying:,} carry the height"

    def check_transactions(self) -> str:
        """Each transaction's bytes are one transaction with the id claimed; no output is spent twice."""
        problems = Problems()
        spent: dict[tuple[str, int], str] = {}
        for node in self._lines("proof/transactions.jsonl"):
            with problems.of(node.where):
                tx = _parse(node["raw"])
                node["txid"].equals(tx.txid, "its bytes give")
                if tx.txid in self.transactions:
                    raise Refused("there twice")
                if len({(i.txid, i.vout) for i in tx.inputs}) != len(tx.inputs):
                    raise Refused("spends an output twice")
                for source in tx.inputs:
                    other = spent.setdefault((source.txid, source.vout), tx.txid)
                    if other != tx.txid and not tx.is_coinbase:
                        raise Refused(f"spends an output that {other} spends too")
                self.transactions[tx.txid] = node, tx
        problems.settle()
        return f"the bytes of {counted(len(self.transactions), 'transaction')} give the ids that are claimed"

    def check_branches(self) -> str:
        """Each transaction's branch leads to its block's root, at the depth of the coinbase's."""
        problems = Problems()
        places: set[tuple[str, int]] = set()
        for txid, (node, tx) in self.transactions.items():
            with problems.of(node.where):
                block = self.blocks.get(node["block_hash"].hash())
                if block is None:
                    raise Refused("its block's header is not among the sound ones")
                node["height"].equals(block.height, "its block's is")
                position = node["position"].number()
                low, high, depth = _check_branch(tx, node["branch"], position, block.header)
                if depth != block.depth:
                    raise Refused(f"a branch of {depth} levels where the coinbase's has {block.depth}")
                block.low, block.high = max(low, block.low), min(high, block.high)
                if block.low >= block.high:
                    raise Refused("no number of transactions fits all branches of its block")
                if (block.hash, position) in places:
                    raise Refused("two transactions at one position")
                if (position == 0) != (txid == block.coinbase) or (position > 0 and tx.spends_nothing):
                    raise Refused("a coinbase that is not the first, or a first that is no coinbase")
                places.add((block.hash, position))
                self.proven[txid] = Proven(tx, block, position)
        problems.settle()
        blocks = len({block for block, _ in places})
        return f"{len(self.proven):,} branches to the roots of {counted(blocks, 'block')}"

    def check_snapshot(self) -> str:
        """The snapshot's tip is a block of which the header is here."""
        snapshot = self.manifest["snapshot"]
        tip = self.blocks.get(snapshot["tip_hash"].hash())
        if tip is None:
            raise Refused("the header of the snapshot's tip is not among the sound ones")
        snapshot["tip_height"].equals(tip.height, "the block's is")
        snapshot["tip_time"].equals(utc(tip.time), "the header's is")
        late = [b for b in self.blocks.values() if b.height > tip.height]
        if late:
            raise Refused(f"block {late[0].height} lies above the tip")
        return f"block {tip.height} of {utc(tip.time)}, {tip.hash}"

    # Leads and cash-outs

    def check_rows(self) -> str:
        """Each row names a service of this country, in a band that leaves the house, once."""
        problems = Problems()
        counts = []
        for name in ("leads.jsonl", "cashouts.jsonl"):
            is_lead = name == "leads.jsonl"
            seen: set[tuple[str, int]] = set()
            for row in self._lines(name):
                with problems.of(row.where):
                    about = row["source"] if is_lead else row
                    claim = Claim(row, about, about["withdrawal"] if is_lead else None)
                    output = claim.payment["txid"].hash(), claim.payment["vout"].number()
                    if output in seen:
                        raise Refused("the payment is there twice")
                    self._check_row(claim)
                    seen.add(output)
                    self.claims.append(claim)
            counts.append(len(seen))
        problems.settle()
        return f"{counted(counts[0], 'lead')} and {counted(counts[1], 'cash-out')} at services of {self.country}"

    def _check_row(self, claim: Claim) -> None:
        if not claim.about["service"].text():
            raise Refused("no service is named")
        if claim.row["confidence"]["band"].text() not in ("strong", "moderate"):
            raise Refused("a band that does not leave the house")
        countries = [c.text() for c in claim.about["jurisdictions"].items()] or ["ZZ"]
        if self.country not in countries:
            raise Refused(f"the service is not one of {self.country}")
        if claim.withdrawal:
            claim.row["excluded"].equals(False, "a package holds only rows where it is")
            exposure = "direct" if claim.about["hops"].number() == 0 else "indirect"
            claim.about["exposure"].equals(exposure, "the hops say")

    def check_citations(self) -> str:
        """Every transaction that a row cites is among the proven ones."""
        problems = Problems()
        cited: set[str] = set()
        for claim in self.claims:
            own = cited_txids(claim.row.value)
            with problems.of(claim.row.where):
                if own - self.proven.keys():
                    raise Refused(f"{plain(min(own - self.proven.keys()), 64)} is cited and not proven")
            cited |= own
        problems.settle()
        return f"{counted(len(cited), 'transaction')} cited, all among the proven ones"

    def tx_of(self, node: Node) -> Proven:
        """The proven transaction that a node names by its `txid`."""
        found = self.proven.get(node["txid"].hash())
        if found is None:
            node["txid"].wrong("not among the proven transactions")
        return found

    def _check_output(self, node: Node) -> Proven:
        """The facts that a step and an output share: the output's value, and the block's height and time."""
        found = self.tx_of(node)
        vout = node["vout"].number()
        if vout >= len(found.tx.outputs):
            node["vout"].wrong(f"the transaction has {len(found.tx.outputs)} outputs")
        node["value_sat"].equals(found.tx.outputs[vout].value, "the output's is")
        node["height"].equals(found.block.height, "its block's is")
        node["time"].equals(utc(found.block.time), "its block's is")
        return found

    def check_outputs(self) -> str:
        """Payments, withdrawals and deposits are outputs of the value, address and time that rows say."""
        problems = Problems()
        count = 0
        for claim in self.claims:
            for node in filter(None, (claim.payment, claim.withdrawal)):
                with problems.of(node.where):
                    found = self._check_output(node)
                    script = found.tx.outputs[node["vout"].number()].script
                    node["address"].equals(address_of(script, self.network), "its script's is")
                    node["block_hash"].equals(found.block.hash, "its block's is")
                    count += 1
        problems.settle()
        return f"{counted(count, 'output')} with the value, address, height, time and block that the rows say"

    def check_paths(self) -> str:
        """Each path is a chain of spends from the withdrawal or sweep to the payment or deposit."""
        problems = Problems()
        steps = 0
        for claim in self.claims:
            with problems.of(claim.row.where):
                for path in claim.paths:
                    self._check_path(path.items(), claim.payment)
                    steps += len(path.items())
                path = claim.row["path"]
                claim.about["hops"].equals(len(path.items()) - 1, "the path's steps after the first are")
                if claim.withdrawal:
                    _same_output(path.items()[0], claim.withdrawal)
        problems.settle()
        return f"{counted(steps, 'step')}; each after the first spends the output of the one before"

    def _check_path(self, path: list[Node], end: Node) -> None:
        if not path:
            raise Refused("a path without steps")
        before: Proven | None = None
        for i, step in enumerate(path):
            found = self._check_output(step)
            vin = step["vin"]
            if vin.value is None and i > 0:
                vin.wrong("missing")
            if vin.value is not None and vin.number() >= len(found.tx.inputs):
                vin.wrong(f"the transaction has {len(found.tx.inputs)} inputs")
            if before is not None:
                spent = found.tx.inputs[vin.number()]
                if (spent.txid, spent.vout) != (before.tx.txid, path[i - 1]["vout"].number()):
                    vin.wrong("does not spend the output of the step before")
                if (before.block.height, before.position) >= (found.block.height, found.position):
                    step.wrong("does not come after the step before")
            before = found
        _same_output(path[-1], end)

    def spender_names(self, found: Proven) -> set[str]:
        """Addresses that a transaction spends from, as far as the transactions that funded it are here."""
        if found.tx.txid not in self._spenders:
            names: set[str] = set()
            for source in found.tx.inputs:
                funding = self.proven.get(source.txid)
                if funding is not None and source.vout < len(funding.tx.outputs):
                    names |= names_of(funding.tx.outputs[source.vout].script, self.network)
            self._spenders[found.tx.txid] = names
        return self._spenders[found.tx.txid]

    def check_joins(self) -> str:
        """Each transaction of a join spends from both addresses; each co-spend step rests on a join.

        An alternative is no claim: where a join of one is not shown, it is counted and told.
        """
        problems = Problems()
        joins = unshown = 0
        rules: Counter[str] = Counter()
        for claim in self.claims:
            with problems.of(claim.row.where):
                own = [join for i in claim.row["inferences"].items() for join in i["joins"].items()]
                tag_join = claim.about.maybe("tag_join")
                for join in own + ([tag_join] if tag_join else []):
                    self._check_join(join)
                    joins += 1
                for number, path in enumerate(claim.paths):
                    loose = self._loose_steps(path.items(), own)
                    if loose and number == 0:
                        loose[0]["rule"].wrong("no join links the spenders of this step and of the one before")
                    unshown += len(loose)
                    rules.update(s["rule"].text() for s in path.items() if s["rule"].value is not None)
        problems.settle()
        held = rules.pop("co-spend", 0) - unshown
        text = f"{counted(joins, 'join')}, each transaction spending from both addresses; "
        text += f"{counted(held, 'co-spend step')} shown to rest on them or on an address of both"
        if unshown:
            text += f"; {counted(unshown, 'co-spend step')} of alternatives without a join that is here"
        others = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
        return text + (f"; steps by other rules, of which the link alone is checked: {others}" if others else "")

    def _check_join(self, join: Node) -> None:
        addresses = [a.text() for a in join["addresses"].items()]
        transactions = join["transactions"].items()
        if len(addresses) != len(transactions) + 1:
            join.wrong("there must be one address more than transactions")
        join["from_address"].equals(addresses[0], "the first address is")
        join["to_address"].equals(addresses[-1], "the last address is")
        for i, txid in enumerate(transactions):
            found = self.tx_of(Node({"txid": txid.value}, txid.where))
            for address in addresses[i : i + 2]:
                if address not in self.spender_names(found):
                    txid.wrong(f"no input that is here spends from {plain(address, 100)}")

    def _loose_steps(self, path: list[Node], joins: list[Node]) -> list[Node]:
        """The co-spend steps of a path whose spender nothing here links to the spender of the step before."""
        ends = [(j["from_address"].text(), j["to_address"].text()) for j in joins]
        loose = []
        for i, step in enumerate(path):
            if step["rule"].value != "co-spend":
                continue
            if i == 0:
                step["rule"].wrong("the first step has none before it")
            here, before = (self.spender_names(self.tx_of(s)) for s in (step, path[i - 1]))
            joined = any((a in here and b in before) or (b in here and a in before) for a, b in ends)
            if not joined and not here & before:
                loose.append(step)
        return loose

    def check_attributions(self) -> str:
        """The tagged address is the one that pays or is paid, or is joined to it."""
        problems = Problems()
        for claim in self.claims:
            with problems.of(claim.row.where):
                reached = claim.about["tag"]["address"].text()
                join = claim.about.maybe("tag_join")
                if join is not None:
                    join["from_address"].equals(reached, "the tagged address is")
                    reached = join["to_address"].text()
                ends: set[object] = {claim.payment["address"].value}
                if claim.withdrawal:
                    ends = set(self.spender_names(self.tx_of(claim.withdrawal)))
                if reached not in ends:
                    raise Refused("the tagged address is not shown to reach the withdrawal or the deposit")
        problems.settle()
        return "each tagged address reaches its withdrawal or deposit; whether the tag is right is not checked"

    def check_requests(self) -> str:
        """The request lists say what the rows say."""
        found: list[tuple[str, ...]] = []
        for name in sorted(self.files):
            if name.startswith("requests/") and name.endswith(".csv"):
                found += _request_rows(name, self.files[name])
        due = [request_facts(claim) for claim in self.claims]
        if sorted(found) != sorted(due):
            wrong = sorted(set(found) ^ set(due))
            first = " ".join(wrong[0]) if wrong else "a row that is there twice"
            raise Refused(f"the request lists and the rows differ, first at: {first}")
        return f"{counted(len(found), 'request')}, one for each lead and cash-out, with its facts"


def _parse(node: Node) -> Tx:
    tx = parse_transaction(node.hex())
    if tx.base_size == INNER_NODE_SIZE:
        raise Refused("a transaction of 64 bytes can't be told from an inner node of a Merkle tree")
    return tx


def _check_branch(tx: Tx, node: Node, position: int, header: bytes) -> tuple[int, int, int]:
    branch = [n.hex(32)[::-1] for n in node.items()]
    if len(branch) > MAX_DEPTH:
        node.wrong("deeper than any block's tree")
    root, low, high = climb(bytes.fromhex(tx.txid)[::-1], branch, position)
    if root != header[36:68]:
        node.wrong("does not lead to the header's root")
    return low, high, len(branch)


def _same_output(step: Node, output: Node) -> None:
    step["txid"].equals(output["txid"].value, f"{output.where} is")
    step["vout"].equals(output["vout"].value, f"{output.where} is")


# Request lists

REQUEST_FACTS = (
    "kind", "service", "band", "hops", "txid", "vout", "address", "time_utc", "amount_sat", "amount_btc",
    "payment_txid", "payment_vout", "payment_time_utc", "payment_sat", "payment_btc",
)  # fmt: skip
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """Text with what is invisible or turns the reading order written as its code point."""
    return _UNSEEN.sub(lambda match: f"<U+{ord(match.group()):04X}>", text)


def cell(text: str) -> str:
    """Text as a cell of a request list: visible, and never what a spreadsheet takes for a formula."""
    safe = visible(text)
    return "'" + safe if safe.lstrip()[:1] in tuple("=+-@\uff1d\uff0b\uff0d\uff20") else safe


def btc(value_sat: int) -> str:
    """An amount in BTC, exact."""
    return f"{value_sat // COIN}.{value_sat % COIN:08d}"


def request_facts(claim: Claim) -> tuple[str, ...]:
    """What the request for a lead or a cash-out must say, in the order of `REQUEST_FACTS`."""
    asked, payment = claim.withdrawal or claim.payment, claim.payment
    address = asked["address"]
    return (
        "withdrawal" if claim.withdrawal else "deposit",
        cell(claim.about["service"].text()),
        claim.row["confidence"]["band"].text(),
        str(claim.about["hops"].number()),
        *_outpoint_facts(asked, "" if address.value is None else address.text()),
        *_outpoint_facts(payment),
    )


def _outpoint_facts(output: Node, *more: str) -> tuple[str, ...]:
    value = output["value_sat"].number()
    return (
        *(output["txid"].text(), str(output["vout"].number()), *more),
        *(output["time"].text(), str(value), btc(value)),
    )


def _request_rows(name: str, raw: bytes) -> list[tuple[str, ...]]:
    try:
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise Refused(f"{name}: {plain(error, 80)}") from None
    if not rows or len(set(rows[0])) != len(rows[0]) or not set(REQUEST_FACTS) <= set(rows[0]):
        raise Refused(f"{name}: not the columns of a request list")
    if any(len(row) != len(rows[0]) for row in rows):
        raise Refused(f"{name}: rows of different lengths")
    places = [rows[0].index(column) for column in REQUEST_FACTS]
    return [tuple(row[place] for place in places) for row in rows[1:]]


# The chain of headers, where the recipient has one


class Chain:
    """Headers of the recipient's own: linked, each with its work and the difficulty that was due."""

    def __init__(self, raw: bytes, network_name: str) -> None:
        self.name = network_name
        self.network = NETWORKS[network_name]
        self.raw = raw
        self.count = len(raw) // HEADER_SIZE
        self.index: dict[bytes, int] = {}
        self.work = 0
        self.bits: list[int] = []
        self.times: list[int] = []
        self._link()

    def _link(self) -> None:
        previous = b""
        for i in range(self.count):
            header = self.raw[i * HEADER_SIZE : (i + 1) * HEADER_SIZE]
            digest = double_sha256(header)
            try:
                if i and header[4:36] != previous:
                    raise Refused("does not follow the header before it")
                self.work += check_work(header, digest, self.network)
            except Refused as error:
                raise Refused(f"header {i} of the file: {error}") from None
            self.index[digest] = i
            self.times.append(int.from_bytes(header[68:72], "little"))
            self.bits.append(int.from_bytes(header[72:76], "little"))
            previous = digest
        self.tip = previous

    @property
    def from_genesis(self) -> bool:
        """Does the file begin with the network's first block?"""
        return shown(double_sha256(self.raw[:HEADER_SIZE])) == self.network.genesis

    def check_difficulty(self, start: int) -> None:
        """Refuse a header with other bits than the network's rule gives; `start` is the first's height.

        What lies before the file is taken on trust, so the first period of a file that starts later is not
        checked in full. Source: Bitcoin Core, src/pow.cpp.
        """
        eases = self.name in ("testnet3", "testnet4")
        limit = self.network.limit_bits
        real: int | None = self.bits[0] if start % RETARGET == 0 or self.bits[0] != limit else None
        for i in range(1, self.count):
            first = (start + i) % RETARGET == 0
            due: int | None = self.bits[i - 1]
            if first and self.name != "regtest":
                due = self._retarget(i)
            elif eases:
                due = limit if self.times[i] > self.times[i - 1] + 1200 else real
            if due is not None and self.bits[i] != due:
                raise Refused(f"header {i} of the file: its bits are {self.bits[i]:08x}, the rule gives {due:08x}")
            if first or self.bits[i] != limit:
                real = self.bits[i]

    def _retarget(self, i: int) -> int | None:
        first = i - RETARGET
        if first < 0:
            return None
        seconds = min(max(self.times[i - 1] - self.times[first], RETARGET_SECONDS // 4), RETARGET_SECONDS * 4)
        base = self.bits[first] if self.name == "testnet4" else self.bits[i - 1]
        return compact_of(min(target_of(base) * seconds // RETARGET_SECONDS, self.network.limit))


def read_headers(path: Path) -> bytes:
    """Headers from a file of 80 raw bytes each, or of one in hex a line; WrongUse for any other file."""
    try:
        if path.stat().st_size > MAX_HEADERS_BYTES:
            raise WrongUse(f"{path} is larger than {MAX_HEADERS_BYTES} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise WrongUse(f"can't read {path}: {error.strerror}") from None
    if re.match(rb"[0-9a-fA-F]{160}\s", raw[:200] + b"\n"):
        lines = raw.split()
        if not all(re.match(rb"[0-9a-fA-F]{160}\Z", line) for line in lines):
            raise WrongUse(f"{path}: a line that is not a header of {2 * HEADER_SIZE} hex digits")
        return bytes.fromhex(b"".join(lines).decode("ascii"))
    if not raw or len(raw) % HEADER_SIZE:
        raise WrongUse(f"{path}: {len(raw)} bytes are no whole number of headers of {HEADER_SIZE} bytes")
    return raw


def check_chain(package: Package, raw: bytes) -> str:
    """That the cited headers lie in the recipient's chain of headers, at the heights that are claimed."""
    chain = Chain(raw, package.network_name)
    places = {b.hash: chain.index.get(bytes.fromhex(b.hash)[::-1]) for b in package.blocks.values()}
    starts = [package.blocks[digest].height - i for digest, i in places.items() if i is not None]
    start = 0
    if not chain.from_genesis:
        if not starts:
            raise Refused("the file begins later than the network's first block, and no cited header is in it")
        start = min(starts)
        if start < 1:
            raise Refused("the heights that the package claims do not fit the file")
    end = start + chain.count - 1
    needed = {p.block.hash for p in package.proven.values()}
    problems = Problems()
    for digest, i in places.items():
        height = package.blocks[digest].height
        with problems.of(f"block {height}"):
            if i is None and (digest in needed or height <= end):
                raise Refused(f"{digest} is not in the file's chain, which ends at height {end}")
            if i is not None and start + i != height:
                raise Refused(f"stands at height {start + i} in the file's chain")
    problems.settle()
    chain.check_difficulty(start)
    text = (
        f"{counted(len(starts), 'cited header')} in the file's chain, which ends at height {end} with "
        f"{shown(chain.tip)}; work of its headers 0x{chain.work:064x} (2^{math.log2(chain.work):.2f} hashes)"
    )
    if len(starts) < len(places):
        text += "; the snapshot's tip lies above the file's end and was not looked for"
    if not chain.from_genesis:
        text += (
            f"; the file begins at height {start} by the package's own word: that it goes back to the "
            "network's first block, and that the heights are right, is not shown"
        )
    return text


# The report


@dataclass(frozen=True)
class Check:
    """One check: did it pass, and what was found."""

    name: str
    passed: bool
    detail: str


@dataclass
class Report:
    """What `verify` found."""

    package: str
    checks: list[Check] = field(default_factory=list)
    not_shown: list[str] = field(default_factory=list)
    verifier_sha256: str = ""
    manifest_sha256: str | None = None
    network: str | None = None
    country: str | None = None

    @property
    def verified(self) -> bool:
        """Did every check pass?"""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def verdict(self) -> str:
        """The result in a sentence or two."""
        if self.verified:
            return (
                "VERIFIED: the files are as sealed, and what the leads say about transactions, amounts, "
                "times and paths follows from the transactions and headers inside. Mind what is not shown."
            )
        failed = [check.name for check in self.checks if not check.passed]
        return (
            f"NOT VERIFIED: {len(failed)} of {len(self.checks)} checks that were run failed "
            f"({', '.join(failed)}). Do not rely on this package; ask the sender for another copy."
        )

    def as_dict(self) -> dict[str, object]:
        """The report for a program."""
        return {
            "format": REPORT_FORMAT,
            "package": self.package,
            "verified": self.verified,
            "verdict": self.verdict,
            "network": self.network,
            "country": self.country,
            "verifier_sha256": self.verifier_sha256,
            "manifest_sha256": self.manifest_sha256,
            "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks],
            "not_shown": self.not_shown,
        }


CHECKS = (
    ("package", Package.check_package),
    ("manifest", Package.check_manifest),
    ("files", Package.check_files),
    ("verifier", Package.check_verifier),
    ("headers", Package.check_headers),
    ("coinbases", Package.check_coinbases),
    ("transactions", Package.check_transactions),
    ("branches", Package.check_branches),
    ("snapshot", Package.check_snapshot),
    ("rows", Package.check_rows),
    ("citations", Package.check_citations),
    ("outputs", Package.check_outputs),
    ("paths", Package.check_paths),
    ("joins", Package.check_joins),
    ("attributions", Package.check_attributions),
    ("requests", Package.check_requests),
)
FIRST = ("package", "manifest", "files")  # where one of these fails, the rest would speak of other files


def own_sha256() -> str:
    """The SHA-256 of this file."""
    try:
        return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    except OSError:
        return "unknown"


def verify(path: str | os.PathLike[str], headers: str | os.PathLike[str] | None = None) -> Report:
    """Check the package at `path`, a zip file or a directory, if given against a file of headers.

    A package that is damaged or hostile gives a report that says so, never an error. Raises WrongUse where
    there is nothing at `path`, or where `headers` can't be read as headers.
    """
    if not Path(path).exists():
        raise WrongUse(f"there is no {os.fspath(path)}")
    raw_headers = None if headers is None else read_headers(Path(headers))
    package = Package(Path(path))
    report = Report(os.fspath(path), verifier_sha256=own_sha256())

    def run(name: str, check: Callable[[], str]) -> bool:
        try:
            report.checks.append(Check(name, True, plain(check(), 1000)))
        except Refused as error:
            report.checks.append(Check(name, False, plain(error, 1000)))
        except Exception as error:  # whatever a hostile file may set off, it must end as a failed check
            report.checks.append(Check(name, False, plain(f"can't be read ({type(error).__name__}: {error})", 300)))
        return report.checks[-1].passed

    for name, check in CHECKS:
        if not run(name, functools.partial(check, package)) and name in FIRST:
            break
    if raw_headers is not None and package.blocks:
        run("chain", functools.partial(check_chain, package, raw_headers))
    if MANIFEST in package.files:
        report.manifest_sha256 = hashlib.sha256(package.files[MANIFEST]).hexdigest()
    report.network, report.country = package.network_name or None, package.country or None
    report.not_shown = [*(_NO_HEADERS if raw_headers is None else ()), *_NOT_SHOWN]
    return report


_NO_HEADERS = (
    "That the headers lie in the chain was not checked; give --headers. A header alone shows its own work "
    "and no more: one of the network's least difficulty is cheap to make.",
)
_NOT_SHOWN = (
    "That the attributions are right: a tag is a statement of its source.",
    "That the rules of inference hold: that addresses spent together are one wallet's is an inference. Where "
    "a step rests on another rule than co-spend, only its link is checked.",
    "Whose the site's address is, who used it, that a sweep spends the site's money, or who holds an account at "
    "a service.",
    "That the texts are right: README.txt, report.pdf, the letters in requests/ and the sentences in the "
    "rows are as sealed, and were not compared with the transactions.",
    "Who sealed the package: compare the manifest's SHA-256 with the sender's by another way.",
)


def print_report(report: Report) -> None:
    """Write a report for people: a line a check, what is not shown, the verdict."""
    print(f"package   {plain(report.package)}")
    print(f"verifier  SHA-256 {report.verifier_sha256} (this file: compare with a copy from elsewhere)")
    for check in report.checks:
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name:13} {check.detail}")
    if len(report.checks) < len(CHECKS):
        print("      the other checks were not run")
    if report.verified:
        print("not shown by this:")
        for text in report.not_shown:
            print(textwrap.fill(text, 100, initial_indent="  - ", subsequent_indent="    "))
    print(textwrap.fill(report.verdict, 100))


def main(argv: list[str] | None = None) -> int:
    """The command: 0 verified, 1 not verified, 2 wrong use."""
    here = Path(__file__).resolve().parent
    default = str(here) if (here / MANIFEST).exists() else None
    parser = argparse.ArgumentParser(prog="verify", description="Check a Geldspur package without trusting its maker.")
    parser.add_argument("package", nargs="?" if default else None, default=default, help="a zip file or a directory")
    parser.add_argument("--headers", metavar="FILE", help="raw block headers from the network's first block on")
    parser.add_argument("--json", action="store_true", help="print the report for a program")
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:
        return 2 if stop.code else 0
    try:
        report = verify(args.package, args.headers)
    except WrongUse as error:
        print(f"verify: {plain(error)}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(report.as_dict(), indent=1))
    else:
        print_report(report)
    return 0 if report.verified else 1


if __name__ == "__main__":
    sys.exit(main())
