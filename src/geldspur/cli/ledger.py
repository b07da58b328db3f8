"""Commands on the ledger: index, block, tx, address, export."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, LedgerDir, console, progress, show_json
from geldspur.errors import UsageError


class NetworkName(StrEnum):
    """The networks that a ledger can be of."""

    MAINNET = "mainnet"
    TESTNET3 = "testnet3"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: geldspur index ~/.bitcoin/blocks --ledger ledger")(index)
    app.command(epilog="Example: geldspur block 170 --ledger ledger")(block)
    app.command(epilog="Example: geldspur tx TXID --ledger ledger --json")(tx)
    app.command(epilog="Example: geldspur address ADDRESS --ledger ledger")(address)
    app.command(epilog="Example: geldspur export headers.bin --headers --ledger ledger")(export)


def index(
    blocks: Annotated[Path, typer.Argument(help="Bitcoin Core's blocks folder, its data directory, or one blk file.")],
    ledger: LedgerDir,
    network: Annotated[NetworkName | None, typer.Option(help="Refuse files of any other network.")] = None,
    to_height: Annotated[int | None, typer.Option(min=0, help="Leave out blocks above this height.")] = None,
    as_json: Json = False,
) -> None:
    """Read Bitcoin Core's block files into a ledger. The files are only read."""
    from geldspur.bitcoin.networks import NETWORKS
    from geldspur.ledger import index as build

    wanted = NETWORKS[network.value] if network else None
    if not as_json:
        _tell_first_use()
    report = build(blocks, ledger, network=wanted, to_height=to_height, progress=progress(as_json))
    if as_json:
        show_json(report)
        return
    console.print(
        f"[bold]{report.network}[/] to height {report.tip_height:,} ({report.tip_hash})\n"
        f"{report.blocks:,} blocks, {report.transactions:,} transactions, {report.inputs:,} inputs, "
        f"{report.outputs:,} outputs, {report.scripts:,} scripts\n"
        f"{report.stale} stale blocks beside the best chain, {report.duplicate_records} records twice"
    )
    for note in report.notes:
        console.print(f"[yellow]note:[/] {note}")


def _tell_first_use() -> None:
    """The kernels are compiled once, which takes a while without a word."""
    from geldspur.bitcoin import kernels
    from geldspur.cli.output import console_err

    cached = list((Path(kernels.__file__).parent / "__pycache__").glob("kernels.measure_block*.nbi"))
    if not cached:
        console_err.print("First use: compiling the kernels, which takes some seconds once ...")


def block(
    which: Annotated[str, typer.Argument(metavar="BLOCK", help="Height or hash.")],
    ledger: LedgerDir,
    as_json: Json = False,
) -> None:
    """Show a block of the best chain; --json gives all that Bitcoin Core's getblock gives."""
    from geldspur.ledger import Ledger
    from geldspur.ledger.views import block_view

    view = block_view(Ledger(ledger), which)
    if as_json:
        show_json(view)
        return
    console.print(f"[bold]block {view['height']:,}[/] {view['hash']}\n{view['time']}  {len(view['tx']):,} transactions")
    for entry in view["tx"]:
        console.print(f"  {entry['txid']}  {len(entry['vin'])} in, {len(entry['vout'])} out, {entry['size']} bytes")


def tx(
    txid: Annotated[str, typer.Argument(help="Transaction id, 64 hex digits.")],
    ledger: LedgerDir,
    as_json: Json = False,
) -> None:
    """Show a transaction with what it spends and who spent it."""
    from geldspur.ledger import Ledger
    from geldspur.ledger.views import amount, transaction_view

    view = transaction_view(Ledger(ledger), txid)
    if as_json:
        show_json(view)
        return
    fee = "" if view["fee_sat"] is None else f"  fee {amount(view['fee_sat'])}"
    console.print(f"[bold]{view['txid']}[/]\nblock {view['height']:,}  {view['time']}{fee}")
    for i, entry in enumerate(view["vin"]):
        before = entry["prevout"]
        text = (
            "newly mined"
            if before is None
            else f"{amount(before['value_sat'])}  {before['address'] or before['script']}"
        )
        console.print(f"  in  {i:>4}  {text}")
    for i, entry in enumerate(view["vout"]):
        spent = f"spent by {entry['spent_by']}" if entry["spent_by"] else "unspent"
        console.print(f"  out {i:>4}  {amount(entry['value_sat'])}  {entry['address'] or entry['script']}  {spent}")


def address(
    text: Annotated[str, typer.Argument(metavar="ADDRESS")],
    ledger: LedgerDir,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many outputs.")] = 50,
    page: Annotated[int, typer.Option(min=1, help="Which page of outputs.")] = 1,
    as_json: Json = False,
) -> None:
    """Show an address: balance, history, and when each output was spent."""
    from geldspur.ledger import Ledger
    from geldspur.ledger.views import address_view, amount

    view = address_view(Ledger(ledger), text, limit, page)
    if as_json:
        show_json(view)
        return
    console.print(
        f"[bold]{view['address']}[/] ({view['script_type']})\n"
        f"balance {amount(view['balance_sat'])} at height {view['tip_height']:,}; "
        f"received {amount(view['received_sat'])} in {view['outputs_total']:,} outputs"
    )
    for row in view["outputs"]:
        spent = f"spent by {row['spent_by']}" if row["spent_by"] else "unspent"
        console.print(f"  {row['time']}  {amount(row['value_sat'])}  {row['txid']}:{row['vout']}  {spent}")
    if view["outputs_total"] > page * limit:
        console.print(f"  ... {view['outputs_total'] - page * limit:,} more: --page {page + 1}")


def export(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    ledger: LedgerDir,
    headers: Annotated[
        bool, typer.Option("--headers", help="Write the chain of block headers, 80 bytes each.")
    ] = False,
) -> None:
    """Write parts of the ledger for other programs: the chain of headers, which `verify --headers` takes."""
    from geldspur.ledger import Ledger
    from geldspur.ledger.columns import write_file

    if not headers:
        raise UsageError("nothing to export", todo="say what: --headers")
    opened = Ledger(ledger)
    write_file(file, opened.block_header.tobytes())
    console.print(f"{len(opened.block_header):,} headers written to {file}")
