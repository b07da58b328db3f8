"""A chain of any size with a known truth, as Bitcoin Core's block files."""

import struct
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from geldspur.accuracy.chain import kernels
from geldspur.accuracy.chain.files import REGTEST_GENESIS, BlockFiles, mine
from geldspur.accuracy.chain.shapes import LEAN, USUAL, Shape
from geldspur.accuracy.chain.wire.kernels import HUBS
from geldspur.accuracy.chain.world import (
    FEES,
    INPUTS,
    LINKSUM,
    MATURITY,
    MINED_OUTPUTS,
    OUTPUTS,
    OWNERS,
    PAID_SAT,
    SPENT,
    SPENT_SAT,
    TXS,
    WITNESS_TXS,
    Draft,
    new_draft,
    new_world,
)
from geldspur.bitcoin.addresses import encode
from geldspur.bitcoin.headers import HEADER_SIZE, double_sha256
from geldspur.bitcoin.networks import REGTEST, Network
from geldspur.bitcoin.scripts import ScriptType, classify
from geldspur.bitcoin.sha256 import chosen
from geldspur.errors import UsageError
from geldspur.ledger.columns import staging, write_json
from geldspur.progress import SILENT, Progress

COIN = 100_000_000
NO_LINK = (1 << 64) - 1
PER_BLOCK = 2500


@dataclass(frozen=True, slots=True)
class Hub:
    """An address that is paid very often, and what it got and still has."""

    address: str
    script_type: str
    outputs: int
    received_sat: int
    balance_sat: int


@dataclass(frozen=True, slots=True)
class ChainTruth:
    """What is true of a simulated chain, the genesis block counted in.

    `scripts` counts different scripts but OP_RETURN. Unspent outputs are those of Core's gettxoutsetinfo: without
    OP_RETURN and the genesis coinbase. `link_checksum` is the sum over all inputs but the coinbases' of
    (row of the spent output + 1) * (2 * row of the input + 1), modulo 2**64.
    """

    network: str
    seed: int
    lean: bool
    tip_height: int
    tip_hash: str
    blocks: int
    transactions: int
    witness_transactions: int
    inputs: int
    outputs: int
    scripts: int
    outputs_by_type: dict[str, int]
    unspent_outputs: int
    unspent_sat: int
    fees_sat: int
    link_checksum: int
    files: int
    bytes: int
    hubs: list[Hub]


def simulate_blocks(
    out: Path,
    txs: int,
    *,
    blocks: int | None = None,
    seed: int = 0,
    lean: bool = False,
    xor: bool = False,
    undo: bool = False,
    links: Path | None = None,
    progress: Progress = SILENT,
) -> ChainTruth:
    """Write a regtest chain of `txs` transactions (coinbases counted in) into the folder `out`.

    `out` gets `blk*.dat`, `truth.json`, with `undo` `rev*.dat` and with `xor` an obfuscation key. `blocks` is the
    wanted number of blocks, the genesis counted in; more are added where the transactions don't fit. `links` gets
    the output row that each input spends, uint64 little-endian, all ones for a coinbase. The same arguments give the
    same bytes on every machine. Raises `UsageError` where `out` is not empty or the chain can't be made.
    """
    _check(out, links, txs, blocks)
    with staging(out) as folder, _Chain(folder, txs, blocks, seed, LEAN if lean else USUAL, xor, undo, links) as chain:
        with progress.task("Simulating blocks", txs, "transactions") as task:
            for made in chain.blocks():
                task.advance(made)
        truth = chain.truth(lean)
        write_json(folder / "truth.json", asdict(truth))
    return truth


def _check(out: Path, links: Path | None, txs: int, blocks: int | None) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty", todo="choose an empty or new folder for --out")
    if links is not None and links.exists():
        raise UsageError(f"{links} exists", todo="choose another name for --links")
    least = MATURITY + 2
    if blocks is not None and blocks < least:
        raise UsageError(
            f"a chain of {blocks:,} blocks has no coin that can be spent",
            todo=f"ask for {least} blocks at least: coins of a coinbase wait {MATURITY} blocks",
        )
    if txs < (blocks or least):
        raise UsageError(f"{txs:,} transactions don't fill {blocks or least:,} blocks", todo="raise --txs")


class _Chain:
    """A chain in the making. One thread makes transactions while another seals and writes the block before."""

    def __init__(
        self, folder: Path, txs: int, blocks: int | None, seed: int, shape: Shape, xor: bool, undo: bool,
        links: Path | None,
    ) -> None:  # fmt: skip
        self._network: Network = REGTEST
        self._txs, self._seed, self._undo = txs, seed, undo
        busy = -(-txs // PER_BLOCK)
        self._blocks = blocks or MATURITY + 10 + busy
        self._world = new_world(txs, seed, shape)
        key = double_sha256(b"xor" + struct.pack("<Q", seed))[:8] if xor else b""
        self._files = BlockFiles(folder, self._network, key)
        self._links_path = links
        self._links: BinaryIO | None = None
        self._tip = b""
        self._height = -1

    def __enter__(self) -> "_Chain":
        if self._links_path is not None:
            self._links = self._links_path.open("wb")
            self._links.write(struct.pack("<Q", NO_LINK))
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: Any) -> None:
        self._files.close()
        if self._links is not None and self._links_path is not None:
            self._links.close()
            if failed:
                self._links_path.unlink()

    def blocks(self) -> Iterator[int]:
        """Make and write all blocks; gives the number of transactions of each."""
        self._files.append(REGTEST_GENESIS)
        self._tip = double_sha256(REGTEST_GENESIS[:HEADER_SIZE])
        self._height = 0
        yield 1
        drafts = [new_draft(self._undo), new_draft(self._undo)]
        left, height = self._txs - 1, 1
        with ThreadPoolExecutor(1) as seal:
            sealed: Future[None] | None = None
            while left > 0:
                draft = drafts[height % 2]
                self._make(draft, height, left)
                if sealed is not None:
                    sealed.result()
                sealed = seal.submit(self._seal, draft, height)
                made = int(draft.sizes[0])
                left -= made
                height += 1
                yield made
            if sealed is not None:
                sealed.result()

    def _make(self, draft: Draft, height: int, left: int) -> None:
        # The first blocks only mine: their coins are what everybody moves later.
        mining = height <= MATURITY
        to_come = max(1, self._blocks - height)
        # Blocks differ in size by a quarter to both sides; each to come needs its coinbase.
        even = left // to_come
        wanted = even * (75 + height * 40_503 % 51) // 100 if to_come > 1 else left
        wanted = 0 if mining else min(max(0, wanted - 1), left - to_come)
        halvings = height // self._network.halving_interval
        subsidy = 50 * COIN >> halvings if halvings < 64 else 0
        outputs = MINED_OUTPUTS if mining else 1 + (height % 3 == 0)
        kernels.make_block(chosen(), self._world, draft, height, wanted, subsidy, outputs)

    def _seal(self, draft: Draft, height: int) -> None:
        n_tx, n_in, body, coinbase, undo = draft.sizes.tolist()
        header = mine(self._tip, kernels.root_of(draft.txids, n_tx), height)
        self._files.append(header, _compact(n_tx), draft.coinbase[:coinbase], draft.body[:body])
        if self._undo:
            self._files.append_undo(self._tip, _compact(n_tx - 1), draft.undo[:undo])
        if self._links is not None:
            self._links.write(draft.links[:n_in].astype("<u8", copy=False).data)
        self._tip = double_sha256(header)
        self._height = height

    def truth(self, lean: bool) -> ChainTruth:
        """What is true of the finished chain."""
        world, count = self._world, self._world.count
        hubs = [self._hub(owner) for owner in range(HUBS) if world.hubs[owner, 0]]
        types = {ScriptType(kind).label: int(n) for kind, n in enumerate(world.types) if n}
        types["p2pk"] = types.get("p2pk", 0) + 1  # the genesis coinbase's
        spendable = int(world.types.sum()) - int(world.types[ScriptType.OP_RETURN])
        return ChainTruth(
            network=self._network.name, seed=self._seed, lean=lean, tip_height=self._height,
            tip_hash=self._tip[::-1].hex(), blocks=self._height + 1, transactions=int(count[TXS]),
            witness_transactions=int(count[WITNESS_TXS]), inputs=int(count[INPUTS]),
            outputs=int(count[OUTPUTS]), scripts=int(count[OWNERS]) - HUBS + len(hubs) + 1,
            outputs_by_type=types, unspent_outputs=spendable - int(count[SPENT]),
            unspent_sat=int(count[PAID_SAT] - count[SPENT_SAT]),
            fees_sat=int(count[FEES]), link_checksum=int(count[LINKSUM]) % (1 << 64),
            files=self._files.number + 1, bytes=self._files.bytes, hubs=hubs,
        )  # fmt: skip

    def _hub(self, owner: int) -> Hub:
        buf = np.zeros(256, np.uint8)
        end = kernels.put_script_of(self._world, owner, buf)
        script_type, payload = classify(buf[:end].tobytes())
        address = encode(script_type, payload, self._network)
        assert address is not None
        return Hub(address, script_type.label, *(int(n) for n in self._world.hubs[owner]))


def _compact(n: int) -> bytes:
    return struct.pack("<B", n) if n < 253 else b"\xfd" + struct.pack("<H", n)
