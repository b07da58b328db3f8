"""A leads directory of made-up rows, written by the leads' own writer."""

import hashlib
from pathlib import Path
from typing import Any

from geldspur.flows import StopKind
from geldspur.leads.files import LeadsData, write_leads_dir
from geldspur.leads.schema import (
    Band,
    Cashout,
    Confidence,
    Coverage,
    Lead,
    LeadsManifest,
    LedgerState,
    Output,
    Payout,
    Site,
    Source,
    Stop,
)


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _output(name: str, hour: int) -> Output:
    day, rest = divmod(hour, 24)
    return Output(
        txid=_hex(name),
        vout=hour % 3,
        address=f"bcrt1q{name}",
        value_sat=1000 * (hour + 1),
        height=hour,
        time=f"2021-06-{day + 12:02}T{rest:02}:30:00Z",
        block_hash=_hex(f"block {hour}"),
    )


def _trail() -> dict[str, Any]:
    empty: dict[str, Any] = {name: [] for name in ("path", "inferences", "explanations", "against", "statements")}
    return empty | {"confidence": Confidence(band=Band.NONE), "stop": Stop(kind=StopKind.EDGE, detail="made up")}


def _lead(number: int, *, excluded: bool = False) -> Lead:
    nowhere = Source(service=None, exposure="none", hops=None, withdrawal=None, jurisdictions=[], tag=None, share=None)
    return Lead(
        **_trail(),
        payment=_output(f"payment{number}", 7 * number),
        site=Site(row=number + 2, columns={}),
        source=nowhere,
        alternatives=[],
        excluded=excluded,
    )


def write_leads(folder: Path) -> Path:
    """Twenty payments in six days, one of them the investigators' own, two cash-outs and three payouts."""
    leads = [_lead(number, excluded=number == 4) for number in range(20)]
    cashouts = [
        Cashout(**_trail(), payment=_output(f"cashout{n}", 90 + n), service="ex1", hops=1, jurisdictions=[], tag=None)
        for n in range(2)
    ]
    payouts = [
        Payout(payment=_output(f"payout{n}", 50 + 20 * n), kind="payout", hops=0, path=[], statements=[])
        for n in range(3)
    ]
    state = LedgerState(network="regtest", tip_height=800, tip_hash=_hex("tip"), tip_time="2021-06-25T22:46:02Z",
                        manifest_sha256=_hex("ledger"))  # fmt: skip
    manifest = LeadsManifest(
        program="geldspur", ledger=state, tags_edition="t", tags_lastmod=None, packs=[], wallets_edition="w",
        rules_sha256=_hex("rules"), parameters={}, site_sha256=_hex("site"), exclude_sha256=None, counts={}, files=[],
    )  # fmt: skip
    coverage = Coverage(lines=20, addresses=20, paid=20, never_seen=0, duplicate=[], malformed=[], other_network=[])
    write_leads_dir(LeadsData(leads, cashouts, payouts, [], [], coverage, manifest), folder, position=lambda _: 0)
    return folder
