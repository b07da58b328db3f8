"""Commands on the ledger: index, block, tx, address."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geldspur.cli.output import Json, LedgerDir, Memory, note, progress, say, show_json, tell_first_use

if TYPE_CHECKING:
    from geldspur.ledger import IndexReport, Ledger


class NetworkName(StrEnum):
    """The networks that a ledger can be of."""

    MAINNET = "mainnet"
    TESTNET3 = "testnet3"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"


_HUB = 5_000
"""Outputs of an address; on the whole chain that many parts of columns are some hundred megabytes."""

TrustLedger = Annotated[
    bool, typer.Option("--trust-ledger", help="Don't compare what is read of the ledger with its checksums.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: geldspur index ~/.bitcoin/blocks --ledger ledger")(index)
    app.command(epilog="Example: geldspur block 170 --ledger ledger")(block)
    app.command(epilog="Example: geldspur tx TXID --ledger ledger --json")(tx)
    app.command(epilog="Example: geldspur address ADDRESS --ledger ledger")(address)


def index(
    blocks: Annotated[
        str,
        typer.Argument(
            metavar="BLOCKS",
            help="Bitcoin Core's blocks folder, its data directory, one blk file, a folder of Parquet tables, "
            "`node` for a node on this machine, or http://HOST:PORT.",
        ),
    ],
    ledger: LedgerDir,
    network: Annotated[NetworkName | None, typer.Option(help="Refuse blocks of any other network.")] = None,
    from_height: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="HEIGHT",
            help="Index a period that begins here; needs Core's rev files beside the blk files.",
        ),
    ] = 0,
    to_height: Annotated[
        int | None, typer.Option(min=0, metavar="HEIGHT", help="Leave out blocks above this height.")
    ] = None,
    memory: Memory = None,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Threads that decode. Default: one a core, 4 at most.")
    ] = None,
    login: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A node's .cookie, or a file with user:password.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring a ledger to the blocks of a source, which is only read.

    The first time this builds the ledger; after that it appends what is new, in seconds, and rolls back over
    a reorg. Stopped at any moment, the same command goes on where it was; a period begins anew.
    """
    from geldspur import kernelcache
    from geldspur.bitcoin.networks import NETWORKS
    from geldspur.ledger import index as build
    from geldspur.ledger.build.memory import parse_size

    wanted = NETWORKS[network.value] if network else None
    if not as_json:
        tell_first_use(kernelcache.is_warm(), "up to a minute")
    report = build(
        blocks, ledger, network=wanted, from_height=from_height, to_height=to_height,
        memory=parse_size(memory) if memory else None, threads=threads, login=login, progress=progress(as_json),
    )  # fmt: skip
    if as_json:
        show_json(report)
    else:
        _show_indexed(report)


def _show_indexed(report: "IndexReport") -> None:
    rolled = f", {report.blocks_rolled_back:,} rolled back" if report.blocks_rolled_back else ""
    held = report.peak_anonymous_bytes / (1 << 20)
    say(f"{report.blocks_added:,} blocks added{rolled}; up to {held:,.0f} MiB of memory held")
    say(
        f"{report.network} to height {report.tip_height:,} ({report.tip_hash})\n"
        f"{report.blocks:,} blocks, {report.transactions:,} transactions, {report.inputs:,} inputs, "
        f"{report.outputs:,} outputs, {report.scripts:,} scripts\n"
        f"{report.stale} stale blocks beside the best chain, {report.duplicate_records} records twice"
    )
    for text in report.notes:
        note(text)


def _opened(folder: Path, trust: bool) -> "Ledger":
    """The ledger for one question: what is read for the answer has its checksums, or nothing is answered."""
    from geldspur.ledger import Ledger

    ledger = Ledger(folder, for_look_ups=True, checked=not trust)
    if not trust and not ledger.is_checked:
        note(
            "the answer was not compared with checksums: this ledger has none of its parts, "
            f"geldspur compact --ledger {folder} makes them"
        )
    return ledger


def _opened_for(address: str, folder: Path, trust: bool, check: bool) -> "Ledger":
    """The ledger for a question about an address.

    Of a hub nothing is compared unless it is asked for: each of its outputs lies in another part of the columns, and
    to compare it is to read the part.
    """
    from geldspur.ledger import Ledger
    from geldspur.ledger.columns import coherent
    from geldspur.ledger.history import AddressHistory

    ledger = _opened(folder, trust)
    if check or not ledger.is_checked:
        return ledger
    with coherent(folder):
        n = len(AddressHistory.of(ledger, address).receipts)
    if n <= _HUB:
        return ledger
    note(
        f"the address has {n:,} outputs: the answer was not compared with checksums; --check does that, and takes long"
    )
    return Ledger(folder, for_look_ups=True)


def block(
    which: Annotated[str, typer.Argument(metavar="BLOCK", help="Height or hash.")],
    ledger: LedgerDir,
    trust_ledger: TrustLedger = False,
    as_json: Json = False,
) -> None:
    """Show a block of the best chain; --json gives all that Bitcoin Core's getblock gives."""
    from geldspur.ledger.views import block_view

    view = block_view(_opened(ledger, trust_ledger), which)
    if as_json:
        show_json(view)
        return
    say(f"block {view['height']:,} {view['hash']}\n{view['time']}  {len(view['tx']):,} transactions")
    for entry in view["tx"]:
        say(f"  {entry['txid']}  {len(entry['vin'])} in, {len(entry['vout'])} out, {entry['size']} bytes")


def tx(
    txid: Annotated[str, typer.Argument(metavar="TXID", help="Transaction id, 64 hex digits.")],
    ledger: LedgerDir,
    trust_ledger: TrustLedger = False,
    as_json: Json = False,
) -> None:
    """Show a transaction with what it spends and who spent it."""
    from geldspur.ledger.views import amount, transaction_view

    view = transaction_view(_opened(ledger, trust_ledger), txid)
    if as_json:
        show_json(view)
        return
    fee = "" if view["fee_sat"] is None else f"  fee {amount(view['fee_sat'])}"
    say(f"{view['txid']}\nblock {view['height']:,}  {view['time']}{fee}")
    for i, entry in enumerate(view["vin"]):
        before = entry["prevout"]
        text = (
            "newly mined"
            if before is None
            else f"{amount(before['value_sat'])}  {before['address'] or before['script']}"
        )
        say(f"  in  {i:>4}  {text}")
    for i, entry in enumerate(view["vout"]):
        spent = f"spent by {entry['spent_by']}" if entry["spent_by"] else "unspent"
        say(f"  out {i:>4}  {amount(entry['value_sat'])}  {entry['address'] or entry['script']}  {spent}")


def address(
    text: Annotated[str, typer.Argument(metavar="ADDRESS", help="The address, as text.")],
    ledger: LedgerDir,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show at most this many entries.")] = 50,
    page: Annotated[int, typer.Option(min=1, metavar="N", help="Which page of entries.")] = 1,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin at the tip.")] = False,
    at_height: Annotated[
        int | None, typer.Option(min=0, metavar="HEIGHT", help="Also tell the balance after this block.")
    ] = None,
    neighbours: Annotated[
        bool, typer.Option("--neighbours", help="Also list who paid the address, and whom it paid.")
    ] = False,
    trust_ledger: TrustLedger = False,
    check: Annotated[
        bool, typer.Option("--check", help=f"Compare with checksums also an address of more than {_HUB:,} outputs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show an address: balance and history."""
    from geldspur.ledger.views import address_view

    view = address_view(
        _opened_for(text, ledger, trust_ledger, check),
        text,
        limit,
        page,
        newest_first=newest_first,
        at_height=at_height,
        with_neighbours=neighbours,
    )
    if as_json:
        show_json(view)
    else:
        _show_address(view, limit)


def _show_address(view: dict[str, Any], limit: int) -> None:
    from geldspur.ledger.views import amount

    say(
        f"{view['address']} ({view['script_type']})\n"
        f"balance {amount(view['balance_sat']).strip()} at height {view['tip_height']:,}; "
        f"received {amount(view['received_sat']).strip()} in {view['outputs_total']:,} outputs"
    )
    if view["from_height"]:
        say(f"the ledger begins at height {view['from_height']:,}: unspent outputs from before it are not known")
    if at := view.get("balance_at"):
        say(f"balance {amount(at['balance_sat']).strip()} after block {at['height']:,}")
    for entry in view["history"]:
        received = entry["kind"] == "receipt"
        other = f"{entry['other_txid']}:{entry['other_index']}" if entry["other_txid"] else None
        link = (f"spent by {other}" if other else "unspent") if received else f"of {other}"
        say(
            f"  {entry['time'] or 'before the period':20}  {entry['height']:>9,}  {amount(entry['amount_sat'])}  "
            f"balance {amount(entry['balance_sat'])}  "
            f"{'received' if received else 'spent   '} {entry['txid']}:{entry['index']}  {link}"
        )
    if (rest := view["entries_total"] - view["page"] * limit) > 0:
        say(f"  ... {rest:,} more: --page {view['page'] + 1}")
    for side in view.get("neighbours", {}).values():
        _show_neighbours(side)


def _show_neighbours(side: dict[str, Any]) -> None:
    from geldspur.ledger.views import amount

    payers = side["side"] == "payers"
    say(
        f"{'paid by' if payers else 'it paid'}: {side['found']:,} scripts in {side['transactions_looked_at']:,} "
        f"transactions; {side['entries_looked_at']:,} of {side['entries_total']:,} "
        f"{'receipts' if payers else 'spends'} looked at"
    )
    if side["newly_mined"]:
        say(f"  {side['newly_mined']:,} transactions paid it newly mined coins")
    if side["itself_sat"]:
        say(f"  {amount(side['itself_sat']).strip()} stood on both sides: the address and itself")
    for row in side["neighbours"]:
        say(
            f"  {row['transactions']:>7,} transactions  {'brought' if payers else 'got'} "
            f"{amount(row['neighbour_sat'])}  the address {'received' if payers else 'spent'} "
            f"{amount(row['address_sat'])} there  {row['name']}"
        )
