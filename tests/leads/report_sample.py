"""Rows to make reports from: two payments of case S as its chain has them, and any number of made-up ones."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from geldspur.flows import StopKind
from geldspur.leads.files import LeadsData
from geldspur.leads.schema import (
    Alternative,
    Band,
    Cashout,
    Confidence,
    Coverage,
    Customer,
    Explanation,
    FileHash,
    Inference,
    Join,
    Layer,
    Lead,
    LeadsManifest,
    LedgerState,
    Malformed,
    NotPayment,
    Output,
    Payout,
    Site,
    Source,
    Statement,
    Step,
    Stop,
    TagRef,
)

JURISDICTIONS = {
    "ex1": ["US"],
    "ex2": ["KR"],
    "ex3": ["DE"],
    "ex4": ["GB"],
    "ex5": ["ES", "DE"],
    "ex6": ["CZ"],
}
ACTIONABLE = ("strong", "moderate")
HOSTILE = (
    "#panic(1) $x^2$ @ref *bold* _it_ `raw` <label> \\n \\u{41} = Heading // comment /* x */ [c] {d}",
    "W" * 5000,
    "abc\u202egnp.exe\u202c\u2066x\u2069\u200b\u00ad\ufeff",
    "nul \x00 bell \x07 escape \x1b[31m newline \n return \r tab \t delete \x7f line \u2028 end",
    "שלום עולם ومرحبا 12,345 sat",
    "שלום" * 40,
    "😀👨‍👩‍👧 日本語 한국어 ไทย क्षि",
    "<svg onload=alert(1)>&amp;&#x41;]]>",
    "e\u0301\u0301\u0301\u0301\u0301 Ω Привет ß ẞ ﬁ",
    "\ud800 lone surrogate",
    "",
)
TIP = "0b486dd32d181077b632bb36d6f236b1bedc9c807b90d8a75359c1bc85b1acff"
TRUE_TXIDS = (
    "050ad6b2bd5106c3286d59e9402d2a0de30f1bc878227d5f225cab7095500c67",
    "7e2c347489af8fead3e5b0344dcbbf555fab430cd0b600eaafc8b1d3035a948f",
    "9eed0de7573b60712eb2bc58e3385f611df299aa65acfbb3f75809b690fec739",
)


def hex32(seed: str) -> str:
    return sha256(seed.encode()).hexdigest()


def address(seed: str) -> str:
    return "bcrt1q" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[byte % 32] for byte in bytes.fromhex(hex32(seed)))[:38]


def pack(title: str, kind: str) -> dict[str, Any]:
    return {
        "title": title,
        "creator": "case",
        "sha256": hex32(title),
        "kind": kind,
        "size": 900,
        "counts": {"tags": 6},
    }


def manifest() -> LeadsManifest:
    return LeadsManifest(
        program="geldspur 0.1.0",
        ledger=LedgerState(
            network="regtest",
            tip_height=800,
            tip_hash=TIP,
            tip_time="2021-06-25T22:46:02Z",
            manifest_sha256=hex32("ledger"),
        ),
        tags_edition=hex32("tags")[:16],
        tags_lastmod="2022-07-01",
        packs=[
            {
                "file": "tagpack.yaml",
                "title": "Known service addresses",
                "creator": "case",
                "sha256": hex32("pack"),
            },
            {
                "file": "actorpack.yaml",
                "title": "Actors of the case",
                "creator": "case",
                "sha256": hex32("actors"),
            },
        ],
        wallets_edition=hex32("wallets")[:16],
        rules_sha256=hex32("rules"),
        parameters={"sole_source_transactions": 6, "dust_sat": 1000, "nested": {"hub_inputs": 2000}},
        site_sha256=hex32("site"),
        exclude_sha256=None,
        counts={"leads": 63, "cashouts": 4},
        files=[FileHash(path="leads.jsonl", sha256=hex32("leads"), size=123456)],
    )


def output(
    seed: str, value_sat: int, height: int, *, txid: str | None = None, vout: int = 0, to: str | None = None
) -> Output:
    return Output(
        txid=txid or hex32(seed),
        vout=vout,
        address=to or address(seed),
        value_sat=value_sat,
        height=height,
        time=f"2021-06-{1 + height // 34 % 28:02d}T{height % 24:02d}:{height * 7 % 60:02d}:08Z",
        block_hash=hex32(f"block{height}"),
    )


def tag(service: str) -> TagRef:
    return TagRef(
        address="bcrt1qu0ewflgp8nl7xn5f24x0t2fehqlyw4ne7u6h6k",
        label=service,
        actor=service,
        category="exchange",
        pack="Known service addresses",
        source="case file",
        confidence="forensic_investigation",
        confidence_level=50,
        lastmod="2022-07-01",
    )


def join(seed: str) -> Join:
    addresses = [address(f"{seed}/{step}") for step in range(3)]
    return Join(
        from_address=addresses[0],
        to_address=addresses[-1],
        rule="co-spend",
        transactions=[hex32(f"{seed}/join{step}") for step in range(2)],
        addresses=addresses,
    )


def steps(payment: Output, hops: int, *, txids: tuple[str, ...] = (), rule: str = "co-spend") -> list[Step]:
    names = (
        [*txids, payment.txid] if txids else [hex32(f"{payment.txid}/{hop}") for hop in range(hops)] + [payment.txid]
    )
    return [
        Step(
            txid=txid,
            vin=0 if place else None,
            vout=payment.vout if place == len(names) - 1 else 1,
            height=payment.height - 12 * (len(names) - 1 - place),
            time=payment.time,
            value_sat=payment.value_sat + 45_000 * (len(names) - 1 - place),
            rule=rule if place else None,
        )
        for place, txid in enumerate(names)
    ]


EXPLANATIONS = """
change-swapped|What is taken for the payment is the payer's change.|yes|The address is in the site file.
coinjoin|The transaction is a CoinJoin or PayJoin of several parties.|yes|No equal outputs; one payer wallet.
shared-wallet|The wallet is custodial or shared by several people.|no|Not decidable from the ledger.
third-party|A seller or a hosted account paid for somebody else.|no|Only the service's records can say.
dust|The payment is dust or a forced reuse of the address.|yes|Above the threshold of 1,000 sat.
stale-tag|The tag is out of date.|yes|Last modified 2022-07-01, after the payment.
chance|The named service is reached by chance.|no|Control rate not measured.
"""


def explanations() -> list[Explanation]:
    rows = [line.split("|") for line in EXPLANATIONS.strip().split("\n")]
    return [Explanation(id=name, text=text, checked=word == "yes", finding=found) for name, text, word, found in rows]


def statements(service: str | None, direct: bool) -> list[Statement]:
    result = [Statement(layer=Layer.FACT, text="The payment is output 0 of the transaction named above, in block 401.")]
    if not direct:
        text = "Its inputs are consistent with one wallet that received the withdrawal (co-spend, version 1)."
        result.append(Statement(layer=Layer.INFERENCE, text=text))
    if service:
        text = f"The withdrawal's wallet is attributed to {service} by case (forensic_investigation)."
        result.append(Statement(layer=Layer.ATTRIBUTION, text=text))
    return result


def lead(number: int, *, service: str | None = None, band: Band = Band.NONE, hops: int = 0, **changes: Any) -> Lead:
    value = 100_000 + int(hex32(f"value{number}")[:6], 16) // 3
    payment = changes.pop("payment", None) or output(f"payment{number}", value, 320 + number % 480)
    direct = bool(service) and hops == 0
    path = changes.pop("path", None) or steps(payment, hops)
    kind = changes.pop("kind", StopKind.SERVICE if service else StopKind.COINJOIN)
    row: dict[str, Any] = {
        "payment": payment,
        "site": Site(row=2 + number, columns={"customer": f"cust{number % 400:03d}"}),
        "source": Source(
            service=service,
            exposure="none" if not service else "direct" if direct else "indirect",
            hops=hops if service else None,
            withdrawal=output(f"w{number}", path[0].value_sat, path[0].height, txid=path[0].txid, vout=path[0].vout)
            if service
            else None,
            jurisdictions=JURISDICTIONS.get(service or "", []),
            tag=tag(service) if service else None,
            share=1.0 if service else None,
            tag_join=join(f"tag{number}") if service and number % 3 == 0 else None,
        ),
        "confidence": Confidence(band=band),
        "path": path if service else [],
        "stop": Stop(kind=kind, txid=path[0].txid, service=service, detail="The walk back ended at this transaction."),
        "inferences": []
        if not service
        else [
            Inference(
                rule="co-spend",
                version=1,
                parameters={"coinjoin_guard": "equal-outputs/1", "payjoin_quarantine": True},
                error_rate="not measured",
                joins=[join(f"lead{number}")] if hops else [],
            )
        ],
        "explanations": explanations(),
        "against": []
        if number % 4
        else [Statement(layer=Layer.FACT, text="One further input comes from a wallet that no source has named.")],
        "statements": statements(service, direct),
        "alternatives": []
        if number % 5
        else [Alternative(service="ex4", share=0.12, path=steps(output(f"alt{number}", 50_000, 300), 1))],
    }
    return Lead(**{**row, **changes})


def cashout(number: int, service: str = "ex5", band: Band = Band.STRONG, hops: int = 1) -> Cashout:
    payment = output(f"cashout{number}", 5_655_238 * (1 + number), 640 + number * 30)
    return Cashout(
        payment=payment,
        service=service,
        hops=hops,
        jurisdictions=JURISDICTIONS.get(service, []),
        tag=tag(service),
        tag_join=join(f"cashout{number}"),
        confidence=Confidence(band=band),
        path=steps(payment, hops, rule="co-spend"),
        stop=Stop(kind=StopKind.SERVICE, txid=payment.txid, service=service, detail="The address is attributed."),
        inferences=[Inference(rule="co-spend", version=1, parameters={}, error_rate="not measured")],
        explanations=explanations(),
        against=[],
        statements=statements(service, False),
    )


def customers(leads: list[Lead]) -> list[Customer]:
    groups: dict[str, list[Lead]] = {}
    for row in leads:
        groups.setdefault(row.site.columns["customer"], []).append(row)
    return [
        Customer(
            customer=name,
            addresses=sorted({str(row.payment.address) for row in rows}),
            payments=len(rows),
            value_sat=sum(row.payment.value_sat for row in rows),
            first_time=min(row.payment.time for row in rows),
            last_time=max(row.payment.time for row in rows),
            services=sorted({row.source.service for row in rows if row.source.service}),
            leads=[f"{row.payment.txid}:{row.payment.vout}" for row in rows],
        )
        for name, rows in sorted(groups.items())
    ]


def case_s_lead() -> Lead:
    """Payment p0004 of case S: withdrawal, a hop of the customer's own, payment."""
    payment = Output(
        txid=TRUE_TXIDS[2],
        vout=0,
        address="n423M92h9kMS9Jk6pz4VnYY72x3UWfetPe",
        value_sat=1_000_000,
        height=401,
        time="2021-06-14T02:03:34Z",
        block_hash="484478318178dcbb77e7e4fde141a6da156199e128c6b8339fe4853694cee3ec",
    )
    return lead(
        1,
        service="ex6",
        band=Band.MODERATE,
        hops=2,
        payment=payment,
        path=steps(payment, 2, txids=TRUE_TXIDS[:2]),
    )


def rows(count: int = 24, services: int = 6, cashouts: int = 4) -> LeadsData:
    """A case of `count` payments; every sixth stops, every eleventh is weak."""
    leads = [case_s_lead()]
    for number in range(2, count + 1):
        service = f"ex{1 + int(hex32(str(number))[:4], 16) % services}"
        if number % 6 == 0:
            kind = (StopKind.COINJOIN, StopKind.AMBIGUOUS, StopKind.HUB, StopKind.EDGE)[number // 6 % 4]
            leads.append(lead(number, kind=kind))
        elif number % 11 == 0:
            leads.append(lead(number, service=service, band=Band.WEAK, hops=2))
        elif number % 2:
            leads.append(lead(number, service=service, band=Band.STRONG))
        else:
            leads.append(lead(number, service=service, band=Band.MODERATE, hops=1 + number % 5))
    dust = NotPayment(
        payment=output("dust", 546, 500),
        site=Site(row=9, columns={"customer": "cust007"}),
        reason="dust",
        threshold_sat=1000,
        detail="546 sat is below the threshold of 1,000 sat.",
    )
    payout_at = output("payout", 2_100_000, 610)
    refund_at = output("refund", 310_000, 615)
    return LeadsData(
        leads=leads,
        cashouts=[cashout(number, f"ex{5 - number % 2}", hops=1 + number % 2) for number in range(cashouts)],
        payouts=[
            Payout(payment=payout_at, kind="payout", hops=0, path=steps(payout_at, 0), statements=[]),
            Payout(payment=refund_at, kind="refund", hops=1, path=steps(refund_at, 1), statements=[]),
        ],
        not_payments=[dust],
        customers=customers(leads),
        manifest=manifest(),
        coverage=Coverage(
            lines=70,
            addresses=66,
            paid=60,
            never_seen=6,
            duplicate=[Malformed(line=12, text="mmookvZPFkG66jQv4JTk7eEd3hrfgghdvN", reason="as in line 3")],
            malformed=[Malformed(line=41, text="mmookvZPFkG66jQv4JTk7eEd3hrfgghdvX", reason="bad checksum")],
            other_network=[
                Malformed(line=50, text="1BoatSLRHtKNngkdXEeobR76b53LETtpyT", reason="of the main network"),
                Malformed(line=51, text="bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", reason="of the main network"),
            ],
        ),
    )


def named(data: LeadsData) -> list[Lead]:
    return [lead for lead in data.leads if lead.confidence.band in ACTIONABLE and not lead.excluded]


def hostile_rows() -> LeadsData:
    """Every text that comes from outside holds one of the hostile strings."""
    leads = []
    for number, text in enumerate(HOSTILE, 1):
        made = lead(number, service="ex1", band=Band.MODERATE, hops=1)
        tag = made.source.tag
        assert tag is not None
        tag = tag.model_copy(update={"label": text, "pack": text, "source": text, "confidence": text, "category": text})
        leads.append(
            made.model_copy(
                update={
                    "site": Site(row=number, columns={text: text, "customer": text}),
                    "source": made.source.model_copy(
                        update={"service": text or None, "tag": tag, "jurisdictions": [text]}
                    ),
                    "stop": made.stop.model_copy(update={"detail": text, "service": text}),
                }
            )
        )
    bad = [Malformed(line=number, text=text, reason=text) for number, text in enumerate(HOSTILE, 1)]
    data = rows(3)
    return replace(
        data,
        leads=leads,
        customers=customers(leads),
        cashouts=[cashout(number, text) for number, text in enumerate(HOSTILE)],
        coverage=data.coverage.model_copy(update={"malformed": bad}),
        manifest=data.manifest.model_copy(update={"parameters": {"x": list(HOSTILE)}, "program": HOSTILE[0]}),
    )
