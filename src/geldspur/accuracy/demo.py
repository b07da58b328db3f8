"""The whole way from block files to checked packages, on the case that the package carries."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from geldspur.accuracy.fixture import INTRODUCTION, unpack_case
from geldspur.accuracy.inputs import write_inputs
from geldspur.accuracy.score import score
from geldspur.accuracy.steps import Clock, make_room
from geldspur.accuracy.summary import DemoResult, Sealed, closing, summary
from geldspur.leads import run_leads
from geldspur.leads.packages import current_state, package
from geldspur.ledger import Ledger, index
from geldspur.progress import SILENT, Progress
from geldspur.proof import verify
from geldspur.tags import add_packs
from geldspur.wallets import build_wallets

_MARK = ".geldspur-demo"
_FOLDERS = ("case", "inputs", "ledger", "leads", "packages")
_HEADERS = "headers.bin"


def run_demo(out: Path, progress: Progress = SILENT, console: Console | None = None) -> DemoResult:
    """Index, tag, cluster, trace, seal and verify the embedded case under `out`, then score it.

    `out` must be new, empty or an earlier demo's, whose files are replaced. Each step is told to `console` as
    it ends, the summary last. Before the packages are written and verified, nothing is read of the truth but
    what `write_inputs` lets out: the site's addresses and the known tags.

    Raises UsageError for an `out` that holds something else, GeldspurError where a step fails.
    """
    console = console or Console(quiet=True)
    clock = Clock(console)
    make_room(out, _MARK, _FOLDERS)
    console.print(Text(INTRODUCTION, style="dim"))
    console.print()
    with clock.step("case", "unpacked: block files, a site's addresses, known tags"):
        case = unpack_case(out / "case")
        inputs = write_inputs(case, out / "inputs")
    with clock.step("index", "block files read, inputs linked to what they spend"):
        indexed = index(case.blocks, out / "ledger", progress=progress)
        ledger = Ledger(out / "ledger")
    with clock.step("tags", "known addresses of services added"):
        tags = add_packs(ledger.folder, ledger.network, [inputs.tagpack, inputs.actorpack], progress)
    with clock.step("wallets", "addresses that sign together joined, with exceptions"):
        wallets = build_wallets(ledger, progress)
    with clock.step("leads", "payments followed back, the site's money forward"):
        leads = run_leads(ledger, inputs.site, out / "leads", progress=progress)
    with clock.step("package", "one sealed zip a country, each cited transaction proven"):
        packages = package(ledger, out / "leads", out / "packages", current=current_state(ledger), progress=progress)
    with clock.step("verify", "each package checked as its recipient would"):
        (out / _HEADERS).write_bytes(ledger.block_header.tobytes())
        sealed = _verify([info.path for info in packages], out / _HEADERS)
    with clock.step("score", "compared with the truth, kept from the steps before"):
        scored = score(case, out / "leads")
    result = DemoResult(
        out=out,
        index=indexed,
        tags=tags,
        wallets=wallets,
        leads=leads,
        packages=sealed,
        score=scored,
        seconds=clock.seconds,
    )
    console.print(summary(result))
    console.print(closing(result), soft_wrap=True)
    return result


def _verify(packages: Sequence[Path], headers: Path) -> list[Sealed]:
    """Check each package as its recipient would, from its own bytes and a file of headers."""
    found = []
    for path in packages:
        report = verify(path, headers)
        failed = [check for check in report.checks if not check.passed]
        with zipfile.ZipFile(path) as archive:
            lines = {name: archive.read(name).count(b"\n") for name in archive.namelist() if ".jsonl" in name}
        found.append(
            Sealed(
                path=path,
                country=report.country or "",
                leads=lines["leads.jsonl"],
                cashouts=lines["cashouts.jsonl"],
                transactions=lines["proof/transactions.jsonl"],
                verified=report.verified,
                verdict="; ".join(f"{check.name}: {check.detail}" for check in failed)
                or f"{len(report.checks)} checks passed",
            )
        )
    return found
