"""Making the leads of a site: payments in, cash-outs out, each row with its grounds."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from geldspur import __version__
from geldspur.errors import GeldspurError
from geldspur.flows import (
    BackwardTracer,
    Deposit,
    ForwardTracer,
    Origin,
    Paid,
    ServiceMap,
    Step,
    StopKind,
)
from geldspur.flows.forward import ForwardFlows
from geldspur.leads import wording
from geldspur.leads.files import REPORT, LeadsData, Writer, check_target, write_leads_dir
from geldspur.leads.grounds import Grounds, tag_ref
from geldspur.leads.judge import Judgement, judge_deposit, judge_payment
from geldspur.leads.payments import Payments, find_payments
from geldspur.leads.report import write_report
from geldspur.leads.schema import (
    Alternative,
    Band,
    Cashout,
    Confidence,
    Customer,
    Inference,
    Lead,
    LeadsManifest,
    LedgerState,
    NotPayment,
    Output,
    Payout,
    Site,
    Source,
    Statement,
    Stop,
)
from geldspur.leads.schema import Step as StepRow
from geldspur.leads.site import read_excluded, read_site
from geldspur.ledger import Ledger
from geldspur.ledger.doctor import examine
from geldspur.progress import SILENT, Progress
from geldspur.rules import RULES, rule, ruleset_hash
from geldspur.tags import TagEdition, open_tags
from geldspur.wallets import Verdict, Wallets
from geldspur.wallets.tables import joined_addresses, refused_joins

MAX_ALTERNATIVES = 20
CUSTOMER_COLUMNS = ("customer", "user", "account")


def run_leads(
    ledger: Ledger,
    site: Path,
    out: Path,
    *,
    exclude: Path | None = None,
    report: bool = True,
    check_ledger: bool = True,
    progress: Progress = SILENT,
) -> LeadsData:
    """Trace every payment that the site's addresses received, follow the site's money, write the directory `out`.

    `check_ledger` compares the ledger's bytes with their checksums first: a bit that fell over on the disk could lead
    to another's wallet.

    Raises `GeldspurError` where the ledger is damaged, or tags or wallets are missing or stale, `UsageError` for a site
    file that can't be used. The same ledger, tags, rules and files give the same bytes.
    """
    check_target(out)
    if check_ledger:
        _refuse_damaged(ledger, progress)
    maker = _Maker(ledger, check_ledger)
    file = read_site(site, ledger)
    exclude_sha256, excluded, unmatched = read_excluded(exclude, ledger)
    payments = find_payments(ledger, maker.wallets, file)
    leads = maker.leads(payments, excluded, progress)
    flows = maker.follow(file.rows, payments)
    cashouts = maker.cashouts(flows, progress)
    payouts = [maker.payout(paid) for paid in flows.payouts]
    not_payments = [
        NotPayment(payment=maker.output(o), site=payments.site[o], reason=r, threshold_sat=limit, detail=text)
        for o, r, limit, text in payments.not_payments
    ]
    counts = {
        "payments": len(leads),
        "named": sum(lead.confidence.band in (Band.STRONG, Band.MODERATE) for lead in leads),
        "excluded": sum(lead.excluded for lead in leads), "not_payments": len(not_payments),
        "cashouts": len(cashouts), "payouts": len(payouts), "sweeps": len(flows.sweeps),
        "exclusions_not_found": len(unmatched),
    }  # fmt: skip
    data = LeadsData(
        leads=leads, cashouts=cashouts, payouts=payouts, not_payments=not_payments,
        customers=group_by_customer(leads), coverage=file.coverage,
        manifest=maker.manifest(site_sha256=file.sha256, exclude_sha256=exclude_sha256, counts=counts),
    )  # fmt: skip
    others: dict[str, Writer] = {
        "wallets.csv": _content(joined_addresses(ledger, maker.wallets)),
        "refused.csv": _content(refused_joins(ledger, maker.wallets)),
        "exclusions_not_found.txt": _content("".join(f"{line}\n" for line in unmatched).encode()),
    }
    if report:
        others[REPORT] = write_report
    with progress.task("Writing leads and report", None, "files"):
        return write_leads_dir(data, out, position=maker.position, others=others)


def _refuse_damaged(ledger: Ledger, progress: Progress) -> None:
    """`GeldspurError` where the ledger's bytes don't have their checksums."""
    for found in examine(ledger.folder, only_bytes=True, progress=progress).findings:
        if found.severity == "damage":
            raise GeldspurError(
                f"no lead can rest on this ledger: {found.what}", where=str(found.where), todo=found.todo
            )


def _content(content: bytes) -> Writer:
    def write(_: LeadsData, path: Path) -> None:
        path.write_bytes(content)

    return write


class _Maker:
    """Turns rows of the ledger into rows of the leads directory."""

    def __init__(self, ledger: Ledger, ledger_checked: bool) -> None:
        self.ledger = ledger
        self.ledger_checked = ledger_checked
        self.tags: TagEdition = open_tags(ledger.folder)
        self.wallets = Wallets(ledger, self.tags)
        self.services = ServiceMap(ledger, self.wallets, self.tags)
        self.grounds = Grounds(ledger, self.wallets, self.tags)
        self.backward = BackwardTracer(ledger, self.wallets, self.services)
        self.forward = ForwardTracer(ledger, self.wallets, self.services)
        self.dust_sat = int(rule("dust").parameters["threshold_sat"])

    def state(self) -> LedgerState:
        """The snapshot that everything is made from."""
        ledger = self.ledger
        return LedgerState(
            network=ledger.network.name, tip_height=ledger.tip_height, tip_hash=ledger.tip_hash,
            tip_time=ledger.time_at(ledger.tip_height), manifest_sha256=ledger.manifest_sha256,
        )  # fmt: skip

    def manifest(self, *, site_sha256: str, exclude_sha256: str | None, counts: dict[str, int]) -> LeadsManifest:
        """What the leads are made from; their files are entered as they are written."""
        return LeadsManifest(
            program=f"geldspur {__version__}", ledger=self.state(), ledger_checked=self.ledger_checked,
            tags_edition=self.tags.edition,
            tags_lastmod=self.tags.lastmod, packs=[pack.as_dict() for pack in self.tags.packs],
            wallets_edition=self.wallets.edition, rules_sha256=ruleset_hash(),
            parameters={r.id: dict(r.parameters) for r in RULES.values() if r.parameters},
            site_sha256=site_sha256, exclude_sha256=exclude_sha256, files=[], counts=counts,
        )  # fmt: skip

    def position(self, txid: str) -> int:
        """The place of a transaction in its block."""
        tx = self.ledger.tx_index(txid)
        assert tx is not None
        return self.ledger.tx_position(tx)

    def output(self, row: int) -> Output:
        """An output row as files show it."""
        ledger = self.ledger
        tx = ledger.tx_of_output(row)
        height = ledger.tx_height(tx)
        return Output(
            txid=ledger.txid(tx), vout=row - int(ledger.tx_out[tx]),
            address=ledger.address(int(ledger.out_script[row])),
            value_sat=int(ledger.out_value[row]), height=height, time=ledger.time_at(height),
            block_hash=ledger.block_id(height),
        )  # fmt: skip

    def step(self, step: Step) -> StepRow:
        """A step of a path as files show it."""
        ledger = self.ledger
        height = ledger.tx_height(step.tx)
        return StepRow(
            txid=ledger.txid(step.tx), vin=None if step.vin_row is None else step.vin_row - int(ledger.tx_in[step.tx]),
            vout=step.vout_row - int(ledger.tx_out[step.tx]), height=height, time=ledger.time_at(height),
            value_sat=int(ledger.out_value[step.vout_row]), rule=step.rule,
        )  # fmt: skip

    # Leads

    def leads(self, payments: Payments, excluded: set[int], progress: Progress) -> list[Lead]:
        """One lead a payment, in ledger order."""
        judged: dict[int, tuple[Judgement, list[Origin]]] = {}
        with progress.task("Tracing payments", len(payments.rows), "payments") as task:
            for row in payments.rows:
                origins = self.backward.origins(row)
                judged[row] = judge_payment(origins), origins
                task.advance(1)
        self.grounds.prepare(
            (verdict.service, script)
            for verdict, _ in judged.values() if verdict.service is not None
            for script in self.wallets.input_scripts(verdict.main.path[0].tx)
        )  # fmt: skip
        with progress.task("Writing the grounds of leads", len(judged), "leads") as task:
            made = []
            for row, (verdict, origins) in judged.items():
                made.append(self._lead(row, payments.site[row], verdict, origins, row in excluded))
                task.advance(1)
        return made

    def _lead(self, row: int, site: Site, verdict: Judgement, origins: list[Origin], excluded: bool) -> Lead:
        payment = self.output(row)
        main = verdict.main
        source, inferences = self._source(verdict)
        stop = self._stop(main)
        statements = [wording.paid(payment)]
        if source.withdrawal is not None and verdict.service is not None and source.tag is not None:
            statements.append(wording.withdrawn(source.withdrawal))
            statements += self._claims(verdict, source)
        else:
            statements.append(wording.stopped(stop))
        others = [o for o in origins if o is not main]
        return Lead(
            payment=payment, site=site, source=source, confidence=Confidence(band=verdict.band),
            path=[self.step(s) for s in main.path], stop=stop, alternatives=self._alternatives(others),
            inferences=inferences, excluded=excluded, statements=statements,
            explanations=wording.explanations(
                hops=source.hops, service=verdict.service, dust_checked_sat=self.dust_sat
            ),
            against=self._against(verdict, others),
        )  # fmt: skip

    def _source(self, verdict: Judgement) -> tuple[Source, list[Inference]]:
        service, path = verdict.service, verdict.main.path
        if service is None:
            nobody = Source(
                service=None, exposure="none", hops=None, withdrawal=None, jurisdictions=[], tag=None, share=None
            )  # fmt: skip
            return nobody, self.grounds.inferences(path, None)
        tag, tag_join = self.grounds.tag_join(service, self.wallets.input_scripts(path[0].tx))
        source = Source(
            service=service.name, exposure="direct" if len(path) == 1 else "indirect", hops=len(path) - 1,
            withdrawal=self.output(path[0].vout_row), jurisdictions=list(self.tags.jurisdictions_of(service.name)),
            tag=tag_ref(tag), share=verdict.share, tag_join=tag_join,
        )  # fmt: skip
        extra = ["sole-source"] if verdict.sole_source else []
        return source, self.grounds.inferences(path, tag_join, extra)

    def _claims(self, verdict: Judgement, source: Source) -> list[Statement]:
        service, tag = verdict.service, source.tag
        assert service is not None and tag is not None
        said = [wording.attribution(wording.attributed(tag, service.name))]
        if source.tag_join is not None:
            n = len(source.tag_join.transactions)
            said.append(
                wording.inference(
                    f"The address {source.tag_join.to_address}, which paid, is consistent with the same wallet: "
                    f"{n} common-spending transaction{'s join' if n > 1 else ' joins'} the two."
                )
            )
        if verdict.sole_source:
            said.append(wording.sole_source(len(verdict.main.path) - 1))
        elif not verdict.main.owned:
            said.append(wording.inference("Who held the money on the steps in between is not shown."))
        elif source.hops:
            said.append(
                wording.inference("The steps in between are consistent with transactions of the payer's own wallet.")
            )
        said.append(wording.inference(f"Graded {verdict.band.value}: {verdict.reason}. Account holder unknown."))
        return said

    def _against(self, verdict: Judgement, others: list[Origin]) -> list[Statement]:
        """What speaks against the named service: other tags, other origins, joins refused on the path."""
        found: list[Statement] = []
        if verdict.service is None:
            return found
        for name in verdict.service.others:
            found.append(wording.attribution(f"Another tag of the same wallet names {name}."))
        elsewhere: dict[str, list[float]] = defaultdict(list)
        for origin in others:
            named = origin.service.name if origin.service else None
            if origin.stop is StopKind.DUST or named == verdict.service.name:
                continue
            what = f"a wallet attributed to {named}" if named else f"a stop ({origin.stop.value}): {origin.detail}"
            elsewhere[what].append(origin.share)
        found += [
            wording.elsewhere(what, shares)
            for what, shares in sorted(elsewhere.items(), key=lambda item: (-sum(item[1]), item[0]))
        ]
        for step in verdict.main.path:
            if self.wallets.verdict[step.tx] == Verdict.ONE_WALLET:
                found.append(
                    wording.fact(
                        f"Transaction {self.ledger.txid(step.tx)} has the shape of a collaborative one; other "
                        "transactions join all of its inputs."
                    )
                )
        return found

    def _stop(self, origin: Origin) -> Stop:
        return Stop(
            kind=origin.stop, txid=self.ledger.txid(origin.stop_tx),
            service=origin.service.name if origin.service else None, detail=origin.detail,
        )  # fmt: skip

    def _alternatives(self, others: list[Origin]) -> list[Alternative]:
        return [
            Alternative(
                service=o.service.name if o.is_named and o.service else None, share=o.share,
                path=[self.step(s) for s in o.path], stop=self._stop(o),
            )
            for o in others[:MAX_ALTERNATIVES]
        ]  # fmt: skip

    # The site's money

    def follow(self, site_scripts: Iterable[int], payments: Payments) -> ForwardFlows:
        """What became of the money."""
        payers: dict[int, int] = {}
        for row in payments.rows:
            payer = self.wallets.payer(self.ledger.tx_of_output(row))
            if payer is not None and self.services.of_wallet(payer) is None:
                payers.setdefault(payer, row)
        return self.forward.follow(site_scripts, payers)

    def cashouts(self, flows: ForwardFlows, progress: Progress) -> list[Cashout]:
        """One row a deposit of site money at a service, in ledger order."""
        self.grounds.prepare((d.service, int(self.ledger.out_script[d.output])) for d in flows.deposits)
        made = []
        with progress.task("Following the site's money", len(flows.deposits), "deposits") as task:
            for deposit in flows.deposits:
                made.append(self._cashout(deposit))
                task.advance(1)
        return made

    def _cashout(self, deposit: Deposit) -> Cashout:
        service, payment = deposit.service, self.output(deposit.output)
        band, reason = judge_deposit(deposit)
        tag, tag_join = self.grounds.tag_join(service, [int(self.ledger.out_script[deposit.output])])
        rules = ["site-spend", *(["change"] if deposit.guesses else [])]
        against = [
            wording.inference(f"At one step the signs also spoke for the other output: {', '.join(g.against)}.")
            for g in deposit.guesses if g.against
        ]  # fmt: skip
        statements = [
            wording.paid(payment),
            wording.attribution(wording.attributed(tag_ref(tag), service.name)),
            wording.inference(f"Graded {band.value}: {reason}. Account holder unknown."),
        ]
        return Cashout(
            payment=payment, service=service.name, hops=deposit.hops, tag=tag_ref(tag), tag_join=tag_join,
            jurisdictions=list(self.tags.jurisdictions_of(service.name)), confidence=Confidence(band=band),
            path=[self.step(s) for s in deposit.path],
            stop=Stop(
                kind=StopKind.SERVICE, txid=payment.txid, service=service.name,
                detail=f"a wallet attributed to {service.name}",
            ),
            inferences=self.grounds.inferences(deposit.path, tag_join, rules), against=against, statements=statements,
            explanations=wording.deposit_explanations(hops=deposit.hops, service=service),
        )  # fmt: skip

    def payout(self, paid: Paid) -> Payout:
        """Site money paid to somebody without a tag."""
        payment = self.output(paid.output)
        said = [wording.fact(f"Transaction {payment.txid} paid {wording.btc(payment.value_sat)} to {payment.address}.")]
        if paid.refund_of is not None:
            earlier = self.output(paid.refund_of)
            said.append(
                wording.inference(
                    f"Consistent with a refund: the same wallet paid the site in {earlier.txid}:{earlier.vout}."
                )
            )
        return Payout(
            payment=payment, kind="payout" if paid.refund_of is None else "refund", hops=len(paid.path) - 1,
            path=[self.step(s) for s in paid.path], statements=said,
        )  # fmt: skip


def group_by_customer(leads: list[Lead]) -> list[Customer]:
    """Leads grouped by the site file's customer column, or by address where it has none; own tests left out."""
    groups: dict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        if not lead.excluded:
            columns = {name.lower(): value for name, value in lead.site.columns.items()}
            named = next((columns[c] for c in CUSTOMER_COLUMNS if columns.get(c)), None)
            groups[named or lead.payment.address or ""].append(lead)
    return [
        Customer(
            customer=name, addresses=sorted({lead.payment.address or "" for lead in rows}), payments=len(rows),
            value_sat=sum(lead.payment.value_sat for lead in rows), first_time=rows[0].payment.time,
            last_time=rows[-1].payment.time,
            services=sorted(
                {
                    lead.source.service for lead in rows
                    if lead.source.service and lead.confidence.band in (Band.STRONG, Band.MODERATE)
                }
            ),
            leads=[f"{lead.payment.txid}:{lead.payment.vout}" for lead in rows],
        )
        for name, rows in sorted(groups.items())
    ]  # fmt: skip
