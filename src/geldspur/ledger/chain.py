"""Which of the blocks found are the best chain, in order of height."""

from dataclasses import dataclass

from geldspur.errors import GeldspurError
from geldspur.ledger.blockfiles import Record, Scan


@dataclass(frozen=True, slots=True)
class Chain:
    """The best chain from the genesis block on, and what else the files hold."""

    records: list[Record]
    stale: list[Record]
    """Blocks that connect to the genesis block but are not on the best chain."""
    duplicates: int
    tied: bool
    """Two tips carried the most work; the one with the smaller hash was taken."""


def best_chain(scan: Scan, to_height: int | None = None) -> Chain:
    """Order the scanned blocks; the tip with the most work wins, whatever the order of the files.

    Where two tips carry equal work Core keeps the one that it saw first, which the files don't tell; the
    smaller hash decides here, so that the answer depends on the blocks alone.

    Raises `GeldspurError` for a header without its work, a chain that doesn't begin at the network's genesis
    block, or blocks whose ancestor is missing (unless `to_height` lies below the gap).
    """
    by_hash, duplicates = _unique(scan)
    children: dict[bytes, list[bytes]] = {}
    for name, record in by_hash.items():
        children.setdefault(record.header.previous, []).append(name)
    genesis = scan.network.genesis_hash
    if genesis not in by_hash:
        raise _no_genesis(scan)
    height, work = _walk(genesis, by_hash, children)
    tips = [name for name in height if name not in children]
    most = max(work[name] for name in tips)
    best = sorted((name for name in tips if work[name] == most), key=lambda name: name[::-1])
    chain = [best[0]]
    while chain[-1] != genesis:
        chain.append(by_hash[chain[-1]].header.previous)
    chain.reverse()
    if to_height is None or to_height >= len(chain):
        _refuse_gaps(scan, by_hash, height, to_height, len(chain) - 1)
    on_chain = set(chain)
    stale = sorted((n for n in height if n not in on_chain), key=lambda n: (height[n], n[::-1]))
    if to_height is not None:
        chain = chain[: to_height + 1]
    return Chain([by_hash[n] for n in chain], [by_hash[n] for n in stale], duplicates, len(best) > 1)


def _unique(scan: Scan) -> tuple[dict[bytes, Record], int]:
    by_hash: dict[bytes, Record] = {}
    duplicates = 0
    for record in scan.records:
        if not record.header.has_work(scan.network):
            raise GeldspurError(
                "a block header does not carry the work that it claims: the file is damaged or foreign",
                where=_place(scan, record),
                todo="copy the file again from the node",
            )
        if record.header.hash in by_hash:
            duplicates += 1
        else:
            by_hash[record.header.hash] = record
    return by_hash, duplicates


def _walk(
    genesis: bytes, by_hash: dict[bytes, Record], children: dict[bytes, list[bytes]]
) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Height and summed work of every block that connects to the genesis block."""
    height = {genesis: 0}
    work = {genesis: by_hash[genesis].header.work}
    waiting = [genesis]
    while waiting:
        parent = waiting.pop()
        for child in children.get(parent, ()):
            height[child] = height[parent] + 1
            work[child] = work[parent] + by_hash[child].header.work
            waiting.append(child)
    return height, work


def _refuse_gaps(
    scan: Scan, by_hash: dict[bytes, Record], height: dict[bytes, int], to_height: int | None, tip: int
) -> None:
    """A ledger that silently ends before its blocks do would hide payments."""
    cut = [r for r in scan.cut_off if r.header.hash not in by_hash]
    if cut:
        have = scan.files[cut[0].file].path.stat().st_size - cut[0].offset
        raise GeldspurError(
            f"a file is cut off: block {cut[0].header.hash[::-1].hex()} has {cut[0].size:,} bytes, "
            f"of which {have:,} are there",
            where=_place(scan, cut[0]),
            todo=f"copy the file again, or index what is whole with --to-height {tip}",
        )
    orphans = [record for name, record in by_hash.items() if name not in height]
    if orphans:
        missing = sorted({r.header.previous[::-1].hex() for r in orphans if r.header.previous not in by_hash})
        raise GeldspurError(
            f"the chain has a gap: {len(orphans):,} blocks wait for block {missing[0] if missing else '?'}, "
            "which is in none of the files",
            where="; ".join([_place(scan, orphans[0]), *scan.notes[:3]]),
            todo=f"add the missing file, or index the part from the genesis block on with --to-height {tip}",
        )
    if to_height is not None and to_height > tip:
        raise GeldspurError(
            f"the files end at height {tip:,}; --to-height asks for {to_height:,}",
            todo="add files or lower it",
        )


def _no_genesis(scan: Scan) -> GeldspurError:
    first = min(scan.records + scan.cut_off, key=lambda record: record.header.time)
    return GeldspurError(
        f"the {scan.network.name} genesis block {scan.network.genesis_id} is in none of the files",
        where=_place(scan, first),
        todo="a ledger begins at the genesis block: add blk00000.dat (and its xor.dat), or check --network",
    )


def _place(scan: Scan, record: Record) -> str:
    return f"{scan.files[record.file].path}, offset {record.offset:,}"
