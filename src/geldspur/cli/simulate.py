"""Commands that make data with a known truth: simulate blocks."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, progress, say, show_json, tell_first_use

app = typer.Typer(
    help="Make chains whose truth is known.",
    epilog="Example: geldspur simulate blocks --out chain --txs 1000000",
    no_args_is_help=True,
)


class SimulatedNetwork(StrEnum):
    """The networks whose blocks can be made: those that ask for no work."""

    REGTEST = "regtest"


@app.callback()
def _group() -> None:
    pass


@app.command(epilog="Example: geldspur simulate blocks --out chain --txs 1000000 --seed 7")
def blocks(
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder for blk*.dat and truth.json.")],
    txs: Annotated[int, typer.Option(min=1, metavar="N", help="Transactions, coinbases counted in.")],
    number: Annotated[
        int | None,
        typer.Option(
            "--blocks", min=1, metavar="N", help="Blocks; by default there are about 2,500 transactions in each."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Another seed gives another chain.")] = 0,
    lean: Annotated[bool, typer.Option("--lean", help="Small transactions, as many as fit on a disk.")] = False,
    network: Annotated[SimulatedNetwork, typer.Option(help="Of which network.")] = SimulatedNetwork.REGTEST,
    xor: Annotated[bool, typer.Option(help="Obfuscate the files, as new nodes do.")] = False,
    undo: Annotated[bool, typer.Option(help="Also write rev*.dat: what each block spent.")] = False,
    links: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the output row that each input spends, 8 bytes each."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write Bitcoin Core's block files of a made-up chain, and what is true of it."""
    from geldspur import kernelcache
    from geldspur.accuracy.chain import simulate_blocks

    if not as_json:
        tell_first_use(kernelcache.is_warm("make_block"), "half a minute")
    truth = simulate_blocks(
        out, txs, blocks=number, seed=seed, lean=lean, xor=xor, undo=undo, links=links, progress=progress(as_json)
    )
    if as_json:
        show_json(truth)
        return
    say(
        f"{network.value} to height {truth.tip_height:,} ({truth.tip_hash})\n"
        f"{truth.transactions:,} transactions, {truth.inputs:,} inputs, {truth.outputs:,} outputs, "
        f"{truth.scripts:,} scripts in {truth.files} file{'s' if truth.files != 1 else ''}, {truth.bytes:,} bytes\n"
        f"what is true of it: {out / 'truth.json'}"
    )
