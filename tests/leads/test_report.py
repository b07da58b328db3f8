"""The report says what the rows say, on every machine in the same bytes, whatever the rows hold."""

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pypdf
import pytest
import report_sample as sample
from report_sample import hostile_rows, named

from geldspur.errors import GeldspurError
from geldspur.leads.files import LeadsData
from geldspur.leads.report import write_report
from geldspur.leads.report.plain import amount, btc
from geldspur.leads.schema import Band, Layer, Output, Review, Statement
from geldspur.rules import RULES

LEFT_EDGE, RIGHT_EDGE = 56.7 - 1.5, 595.3 - 56.7 + 1.5
MONO_ADVANCE = 0.602
SERIF_ADVANCE = 0.25


def written(tmp_path: Path, data: LeadsData, name: str = "report.pdf", **options: object) -> bytes:
    write_report(data, tmp_path / name, **options)  # type: ignore[arg-type]
    return (tmp_path / name).read_bytes()


def pages(content: bytes) -> list[str]:
    """The text of each page, runs of white space as one space."""
    return [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(content)).pages]


def test_a_report_on_nothing_is_a_report(tmp_path: Path) -> None:
    data = replace(sample.rows(1), leads=[], cashouts=[], payouts=[], not_payments=[], customers=[])
    text = " ".join(pages(written(tmp_path, data)))
    assert "No payment could be traced to a named service." in text
    assert "No deposit of the site" in text


def test_the_same_rows_give_the_same_bytes_in_another_process_and_place(tmp_path: Path) -> None:
    first = written(tmp_path, sample.rows(12))
    script = (
        "import sys; from pathlib import Path; import report_sample; from geldspur.leads.report import *;"
        "write_report(report_sample.rows(12), Path(sys.argv[1]))"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONHASHSEED": "7",
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C",
        "HOME": str(tmp_path),
    }
    other = tmp_path / "elsewhere"
    other.mkdir()
    subprocess.run([sys.executable, "-c", script, str(other / "x.pdf")], check=True, env=environment, cwd=other)
    assert (other / "x.pdf").read_bytes() == first


def test_the_report_holds_no_date_and_names_the_snapshot_on_every_page(tmp_path: Path) -> None:
    content = written(tmp_path, sample.rows(12))
    facts = pypdf.PdfReader(io.BytesIO(content)).metadata
    assert facts is not None
    assert facts.creation_date is None
    assert facts.modification_date is None
    assert all("regtest, height 800, 2021-06-25T22:46:02Z" in text for text in pages(content))


def test_every_transaction_that_a_lead_cites_can_be_copied_out_of_the_report(tmp_path: Path) -> None:
    data = sample.rows(14)
    words = set(" ".join(pages(written(tmp_path, data))).split())
    for lead in named(data):
        withdrawal, payment = lead.source.withdrawal, lead.payment
        assert withdrawal is not None
        assert {f"{o.txid}:{o.vout}" for o in (withdrawal, payment)} <= words
        assert {payment.block_hash, payment.address, payment.time} <= words
        assert {f"{step.txid}:{step.vout}" for step in lead.path} <= words
        assert {txid for rule in lead.inferences for join in rule.joins for txid in join.transactions} <= words
        if lead.source.tag_join:
            assert {*lead.source.tag_join.transactions, *lead.source.tag_join.addresses} <= words


def test_a_lead_of_case_s_is_told_in_full(tmp_path: Path) -> None:
    data = replace(sample.rows(1), leads=[sample.case_s_lead()])
    text = " ".join(pages(written(tmp_path, data)))
    for part in (
        "Lead 1: ex6",
        "1,000,000 sat = 0.01000000 BTC",
        "line 3 (customer: cust001)",
        "attributed by case, Known service addresses (forensic_investigation, level 50 of 100)",
        "indirect: 2 transactions after the withdrawal",
        "share of the payment\u2019s value: 100 %",
        "error rate: not measured",
        "Its inputs are consistent with one wallet",
        "None found in the checks listed",
        "A seller or a hosted account paid for somebody else. no",
        "Probability not calibrated, so none is given",
        "Review not reviewed examiner:",
    ):
        assert part in text
    path = [text.index(f"{txid}:") for txid in sample.TRUE_TXIDS]
    assert path != sorted(path)  # the payment stands at the head of the block,
    tail = text[text.index("Path from the withdrawal") :]
    path = [tail.index(f"{txid}:") for txid in sample.TRUE_TXIDS]
    assert path == sorted(path)  # then the path in the order in which the money went


def test_the_summary_counts_what_the_rows_hold(tmp_path: Path) -> None:
    data = sample.rows(40)
    text = pages(written(tmp_path, data))[0]
    for band in ("strong", "moderate", "weak"):
        rows = [lead for lead in data.leads if lead.confidence.band == band]
        assert f"{band} {len(rows)} {amount(sum(lead.payment.value_sat for lead in rows))}" in text
    assert f"40 payments received {btc(sum(lead.payment.value_sat for lead in data.leads))} BTC received" in text
    assert f"Cash-outs {amount(sum(row.payment.value_sat for row in data.cashouts))}" in text


def test_own_test_payments_stand_apart_and_are_counted_nowhere_else(tmp_path: Path) -> None:
    data = sample.rows(10)
    own = sample.lead(99, service="ex1", band=Band.STRONG, excluded=True)
    text = " ".join(pages(written(tmp_path, replace(data, leads=[*data.leads, own]))))
    assert "10 payments received" in text
    assert f"Investigators\u2019 own payments, excluded from everything above 1 {amount(own.payment.value_sat)}" in text
    assert text.count(f"{own.payment.txid}:{own.payment.vout}") == 1


def test_strong_leads_come_first_each_band_in_ledger_order(tmp_path: Path) -> None:
    data = sample.rows(30)
    text = " ".join(pages(written(tmp_path, data)))
    expected = [lead for band in ("strong", "moderate") for lead in named(data) if lead.confidence.band == band]
    heads = re.findall(r"Lead (\d+): \S+ (strong|moderate) ([\d.]+) BTC", text)
    assert heads == [
        (str(place), lead.confidence.band, btc(lead.payment.value_sat)) for place, lead in enumerate(expected, 1)
    ]


def test_a_country_gets_its_services_leads_and_nothing_of_the_others(tmp_path: Path) -> None:
    data = sample.rows(40)
    text = " ".join(pages(written(tmp_path, data, country="CZ")))
    assert "Extract for Czechia (CZ)" in text
    for lead in data.leads:
        name = f"{lead.payment.txid}:{lead.payment.vout}"
        own = lead in named(data) and "CZ" in lead.source.jurisdictions
        assert (name in text) == own
    assert "Coverage of the site file" not in text
    assert "What to ask which service" in text
    assert "Legal basis: to be entered by the requesting authority." in text


def test_a_service_of_two_countries_is_in_both_reports_with_both_named(tmp_path: Path) -> None:
    data = sample.rows(40)
    for country in ("DE", "ES"):
        text = " ".join(pages(written(tmp_path, data, country=country)))
        assert "ES, DE" in text or "DE, ES" in text
        assert any(lead.payment.txid in text for lead in named(data) if lead.source.service == "ex5")


def test_services_without_a_jurisdiction_are_reported_under_zz(tmp_path: Path) -> None:
    data = sample.rows(60, services=8)
    text = " ".join(pages(written(tmp_path, data, country="ZZ")))
    assert "no jurisdiction stated (ZZ)" in text
    inside = [lead for lead in named(data) if f"{lead.payment.txid}:" in text]
    assert {lead.source.service for lead in inside} == {"ex7", "ex8"}


def test_a_large_case_shows_the_first_leads_and_says_where_the_rest_is(tmp_path: Path) -> None:
    data = sample.rows(40)
    text = " ".join(pages(written(tmp_path, data, lead_blocks=3, table_rows=2)))
    total = len(named(data))
    assert f"3 of {total} are shown here; the rest is in leads.jsonl." in text
    assert len(re.findall(r"Lead \d+: ", text)) == 3
    assert f"40 payments received" in text  # noqa: F541


def test_reviewed_rows_name_the_examiner_and_change_the_mark_on_every_page(tmp_path: Path) -> None:
    review = Review(examiner="A. Examiner", time="2026-01-05T10:00:00Z", result="confirmed")
    data = sample.rows(4, cashouts=0)
    leads = [lead.model_copy(update={"review": review}) for lead in data.leads]
    done = pages(written(tmp_path, replace(data, leads=leads)))
    assert all("reviewed by a second examiner" in text and "not reviewed" not in text for text in done)
    assert any("A. Examiner, 2026-01-05T10:00:00Z: confirmed" in text for text in done)
    half = pages(written(tmp_path, replace(data, leads=[*leads[:1], *data.leads[1:]])))
    assert all("not reviewed: 3 of 4 rows" in text for text in half)


def test_evidence_against_is_printed_even_where_there_is_none(tmp_path: Path) -> None:
    data = sample.rows(1)
    unchecked = [row.model_copy(update={"checked": False}) for row in sample.case_s_lead().explanations]
    lead = sample.case_s_lead().model_copy(update={"explanations": unchecked})
    assert "Evidence against None checked." in " ".join(pages(written(tmp_path, replace(data, leads=[lead]))))


def test_much_evidence_against_is_counted_in_full(tmp_path: Path) -> None:
    said = [Statement(layer=Layer.FACT, text=f"Fact number {number}.") for number in range(35)]
    lead = sample.case_s_lead().model_copy(update={"against": said})
    text = " ".join(pages(written(tmp_path, replace(sample.rows(1), leads=[lead]))))
    assert len(re.findall(r"Fact number \d+\.", text)) == 20
    assert "20 of 35 are shown here; the rest is in leads.jsonl." in text


def test_every_rule_is_listed_with_its_error_rate_and_what_to_ask_of_it(tmp_path: Path) -> None:
    text = " ".join(pages(written(tmp_path, sample.rows(2))))
    for rule in RULES.values():
        assert f"{rule.title} {rule.id} version {rule.version}" in text
        assert all(question in text for question in rule.questions)


def test_hostile_text_is_printed_and_never_obeyed(tmp_path: Path) -> None:
    text = " ".join(pages(written(tmp_path, hostile_rows())))
    assert "#panic(1) $x^2$ @ref *bold* _it_" in text
    assert "[U+202E]" in text
    assert "[U+0000]" in text
    assert "[U+1F600" in text
    assert "cut here; 5,000 characters" in text


def runs(page: pypdf.PageObject) -> list[tuple[str, float, float]]:
    """Each run of text of a page, where it begins, and where it ends at the least, in points from the left."""
    found: list[tuple[str, float, float]] = []

    def visit(text: str, cm: list[float], tm: list[float], font: dict[str, str] | None, size: float) -> None:
        if font and text.strip():
            mono = "DejaVuSansMono" in str(font.get("/BaseFont", ""))
            x = tm[4] * cm[0] + cm[4]
            longest = max(len(line) for line in text.strip().split("\n"))
            advance = MONO_ADVANCE if mono else SERIF_ADVANCE
            found.append((text, x, x + longest * advance * size * abs(tm[0] * cm[0])))

    page.extract_text(visitor_text=visit)
    return found


@pytest.mark.parametrize("rows", [sample.rows(14), hostile_rows()], ids=["usual", "hostile"])
def test_nothing_runs_off_the_page(tmp_path: Path, rows: LeadsData) -> None:
    reader = pypdf.PdfReader(io.BytesIO(written(tmp_path, rows)))
    found = [
        (number, *run)
        for number, page in enumerate(reader.pages, 1)
        for run in runs(page)
        if page.mediabox.width < page.mediabox.height
    ]
    assert len(found) > 100
    assert [run for run in found if run[2] < LEFT_EDGE or run[3] > RIGHT_EDGE] == []


def test_a_path_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(GeldspurError, match=r"can't be written.*No such file"):
        write_report(sample.rows(2), tmp_path / "missing" / "report.pdf")
    (tmp_path / "taken").mkdir()
    with pytest.raises(GeldspurError, match="can't be written"):
        write_report(sample.rows(2), tmp_path / "taken")
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]


def test_a_bare_script_is_said_to_have_no_address(tmp_path: Path) -> None:
    lead = sample.case_s_lead()
    bare = Output(**{**lead.payment.model_dump(), "address": None})
    data = replace(sample.rows(1), leads=[lead.model_copy(update={"payment": bare})])
    assert "no address form (bare script)" in " ".join(pages(written(tmp_path, data)))
