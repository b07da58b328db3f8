"""A second maker of packages for tests, written from docs/packages.md: it shares no code with the program.

A package is a dict of file names to bytes; `seal` adds the manifest, `pack` makes the zip. What a test changes
before `seal` is what a forger could change, who makes a manifest that fits.
"""

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from tiny_chain import TinyBlock, TinyChain, sha256d, shown

Files = dict[str, bytes]
Row = dict[str, Any]
COLUMNS = [
    "kind", "service", "band", "hops", "txid", "vout", "address", "time_utc", "amount_sat", "amount_btc",
    "payment_txid", "payment_vout", "payment_time_utc", "payment_sat", "payment_btc",
]  # fmt: skip


def lines(objects: list[Row]) -> bytes:
    return b"".join(json.dumps(o, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for o in objects)


def rows_of(files: Files, name: str) -> list[Row]:
    return [json.loads(line) for line in files[name].splitlines()]


def branch(leaves: list[bytes], position: int) -> list[str]:
    """Siblings by plain recursion on the definition of the tree."""
    if len(leaves) == 1:
        return []
    level = leaves + leaves[-1:] if len(leaves) % 2 else leaves
    above = [sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return [shown(level[position ^ 1]), *branch(above, position // 2)]


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    level = leaves + leaves[-1:] if len(leaves) % 2 else leaves
    return root([sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)])


def block_entry(block: TinyBlock, height: int) -> Row:
    return {
        "height": height,
        "hash": block.hash,
        "header": block.header.hex(),
        "coinbase": {"raw": block.txs[0].raw.hex(), "branch": branch(block.leaves, 0)},
    }


def tx_entry(block: TinyBlock, height: int, position: int) -> Row:
    return {
        "txid": block.txs[position].txid,
        "block_hash": block.hash,
        "height": height,
        "position": position,
        "raw": block.txs[position].raw.hex(),
        "branch": branch(block.leaves, position),
    }


def cited(value: Any) -> set[str]:
    """Txids in a row, and those of joins."""
    if isinstance(value, list):
        return set().union(*map(cited, value))
    if not isinstance(value, dict):
        return set()
    own = {value["txid"]} if value.get("txid") else set()
    own |= set(value["transactions"]) if "transactions" in value else set()
    return own.union(*map(cited, value.values()))


def funding(chain: TinyChain, row: Row) -> set[str]:
    """Every transaction that funded an input that a join, a co-spend step or an attribution could rest on."""
    txids = {t for i in row["inferences"] for j in i["joins"] for t in j["transactions"]}
    about = row.get("source", row)
    txids |= set(about["tag_join"]["transactions"]) if about["tag_join"] else set()
    txids |= {s["txid"] for s in row["path"]}
    return {prev for txid in txids for prev, _ in chain.tx(txid).inputs if prev in chain.where}


def btc(sat: int) -> str:
    return f"{sat // 10**8}.{sat % 10**8:08d}"


def request(row: Row) -> list[str]:
    about = row.get("source", row)
    asked = about.get("withdrawal", row["payment"])
    payment = row["payment"]
    return [
        "withdrawal" if "source" in row else "deposit", about["service"], row["confidence"]["band"],
        str(about["hops"]), asked["txid"], str(asked["vout"]), asked["address"] or "", asked["time"],
        str(asked["value_sat"]), btc(asked["value_sat"]), payment["txid"], str(payment["vout"]),
        payment["time"], str(payment["value_sat"]), btc(payment["value_sat"]),
    ]  # fmt: skip


def requests(rows: list[Row]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *map(request, rows)])
    return text.getvalue().encode()


def make(chain: TinyChain, leads: list[Row], cashouts: list[Row], verifier: bytes) -> Files:
    """All files but the manifest."""
    txids = {t for row in leads + cashouts for t in cited(row) | funding(chain, row)}
    places = sorted(chain.where[t] for t in txids)
    tip = chain.tip
    return {
        "README.txt": b"A package for tests.\n",
        "verify.py": verifier,
        "leads.jsonl": lines(leads),
        "cashouts.jsonl": lines(cashouts),
        "requests/all.csv": requests(leads + cashouts),
        "report.pdf": b"%PDF-1.7\n",
        "proof/blocks.jsonl": lines([block_entry(chain.blocks[h], h) for h in sorted({tip, *(h for h, _ in places)})]),
        "proof/transactions.jsonl": lines([tx_entry(chain.blocks[h], h, i) for h, i in places]),
    }


def fields_of(chain: TinyChain, country: str, network: str = "regtest") -> Row:
    tip = chain.tip
    return {
        "format": "geldspur-package/1",
        "network": network,
        "country": country,
        "snapshot": {"tip_height": tip, "tip_hash": chain.blocks[tip].hash, "tip_time": chain.time[tip]},
    }


def seal(files: Files, fields: Row) -> Files:
    """The files with the manifest that fits them."""
    listed = [
        {"path": name, "sha256": hashlib.sha256(files[name]).hexdigest(), "size": len(files[name])}
        for name in sorted(files)
    ]
    content = fields | {"files": listed}
    content["self_sha256"] = hashlib.sha256(dumped(content)).hexdigest()
    return files | {"manifest.json": dumped(content)}


def dumped(content: Row) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def pack(files: Files, path: Path, *, compression: int = zipfile.ZIP_STORED) -> Path:
    """The zip file, by Python's own zip writer."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            info.create_system = 3
            info.compress_type = compression
            archive.writestr(info, files[name])
    return path


def unpack(files: Files, folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
