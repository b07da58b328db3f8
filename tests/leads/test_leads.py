"""Leads of the embedded case: what a row must carry, and what happens to a site file's lines."""

import csv
import re
import shutil

import pytest

from geldspur.errors import GeldspurError, UsageError
from geldspur.leads import read_leads_dir, run_leads
from geldspur.leads.schema import Band
from geldspur.ledger import Ledger
from geldspur.rules import RULES
from geldspur.wording import counted


def site_file(path, lines):
    path.write_text("\n".join(["address,customer", *lines]) + "\n")
    return path


def test_the_same_input_gives_the_same_bytes(embedded, tmp_path):
    lines = embedded.inputs.site.read_text().splitlines()
    again = tmp_path / "again"
    run_leads(embedded.ledger, embedded.inputs.site, again)
    first = embedded.folder / "leads"
    names = sorted(p.name for p in first.iterdir())
    assert "report.pdf" in names
    assert sorted(p.name for p in again.iterdir()) == names
    for name in names:
        assert (again / name).read_bytes() == (first / name).read_bytes(), name
    assert len(lines) > 30


def test_every_band_keeps_its_promise(embedded):
    for lead in embedded.leads.leads:
        if lead.confidence.band == Band.STRONG:
            assert lead.source.exposure == "direct"
            assert lead.source.hops == 0
        if lead.confidence.band in (Band.STRONG, Band.MODERATE):
            assert lead.source.service
            assert lead.source.withdrawal is not None
            assert lead.stop.kind == "service"
        if lead.source.service is None:
            assert lead.confidence.band == Band.NONE
        assert lead.confidence.probability is None


def test_a_path_leads_from_the_withdrawal_to_the_payment(embedded):
    for lead in embedded.leads.leads:
        last = lead.path[-1]
        assert (last.txid, last.vout) == (lead.payment.txid, lead.payment.vout)
        if lead.source.withdrawal is not None:
            assert (lead.path[0].txid, lead.path[0].vout) == (lead.source.withdrawal.txid, lead.source.withdrawal.vout)
            assert lead.source.hops == len(lead.path) - 1
        assert lead.path[0].rule is None
        assert all(step.rule in (*RULES, "spend") for step in lead.path[1:])


def test_every_inference_cites_a_rule_with_its_rate(embedded):
    cited = {i.rule for lead in embedded.leads.leads for i in lead.inferences}
    assert {"co-spend", "sole-source"} <= cited <= set(RULES)
    for lead in embedded.leads.leads:
        for inference in lead.inferences:
            assert inference.error_rate == RULES[inference.rule].error_rate
            assert "measured" in inference.error_rate


def test_no_explanation_speaks_of_a_service_that_was_not_found(embedded):
    nameless = [lead for lead in embedded.leads.leads if lead.source.service is None]
    assert len(nameless) > 10
    for lead in nameless:
        findings = {e.id: e.finding for e in lead.explanations}
        assert not [text for text in findings.values() if "the service" in text], findings
        assert findings["change-swapped"] != "not applicable: one transaction"


def test_no_lead_is_without_other_explanations(embedded):
    for lead in embedded.leads.leads:
        assert {"seller", "collaborative", "stale-tag", "chance"} <= {e.id for e in lead.explanations}
    assert embedded.leads.cashouts
    for cashout in embedded.leads.cashouts:
        assert {"paid-person", "collaborative", "stale-tag", "chance"} <= {e.id for e in cashout.explanations}
        told = " ".join(e.text + e.finding for e in cashout.explanations)
        assert "purchase" not in told
        assert "towards the site" not in told


def test_a_lead_names_no_service_where_the_money_passed_a_coinjoin(embedded):
    blocked = [lead for lead in embedded.leads.leads if lead.stop.kind == "coinjoin"]
    assert blocked
    assert all(lead.confidence.band in (Band.WEAK, Band.NONE) for lead in blocked)


def test_rows_stand_in_ledger_order(embedded):
    ledger = embedded.ledger
    places = [(ledger.tx_index(lead.payment.txid), lead.payment.vout) for lead in embedded.leads.leads]
    assert places == sorted(places)


def test_every_line_of_a_messy_site_file_is_accounted_for(embedded, tmp_path):
    known = [row["address"] for row in csv.DictReader(embedded.inputs.site.open())][:3]
    never = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
    lines = [
        known[0],
        f"{known[1]},second",
        known[0] + ",twice",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2,mainnet",
        "hello,malformed",
        never,
        '"=cmd|x",formula',
    ]
    data = run_leads(embedded.ledger, site_file(tmp_path / "site.csv", lines), tmp_path / "leads", report=False)
    c = data.coverage
    assert (c.lines, c.addresses, c.paid, c.never_seen) == (7, 3, 2, 1)
    assert [m.line for m in c.duplicate] == [4]
    assert [m.line for m in c.other_network] == [5]
    assert [m.line for m in c.malformed] == [6, 8]
    assert c.lines == c.addresses + len(c.duplicate) + len(c.other_network) + len(c.malformed)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("address\nnonsense\n", "line 2"),
        ("wallet\nx\n", "no column 'address'"),
        ("", "no column 'address'"),
        ("address\n", "no address"),
        ("address\n1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2\n", "mainnet"),
    ],
)
def test_a_site_file_without_a_usable_address_is_wrong_use(embedded, tmp_path, content, what):
    path = tmp_path / "site.csv"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        run_leads(embedded.ledger, path, tmp_path / "leads")
    assert what in str(caught.value)
    assert not (tmp_path / "leads").exists()


def test_bytes_that_are_no_text_are_wrong_use(embedded, tmp_path):
    path = tmp_path / "site.csv"
    path.write_bytes(b"address\n\xff\xfe\n")
    with pytest.raises(UsageError, match="UTF-8"):
        run_leads(embedded.ledger, path, tmp_path / "leads")


def test_semicolons_and_a_byte_order_mark_are_understood(embedded, tmp_path):
    known = next(csv.DictReader(embedded.inputs.site.open()))["address"]
    path = tmp_path / "site.csv"
    path.write_text(f"\ufeffcustomer;Address\nx;{known}\n", encoding="utf-8")
    data = run_leads(embedded.ledger, path, tmp_path / "leads", report=False)
    assert data.coverage.paid == 1
    assert all(lead.site.columns == {"customer": "x"} for lead in data.leads)


def test_own_test_payments_are_shown_apart(embedded, tmp_path):
    chosen = embedded.leads.leads[5].payment
    exclude = tmp_path / "own.csv"
    exclude.write_text(f"txid,vout\n{chosen.txid},{chosen.vout}\n{'00' * 32},0\n")
    out = tmp_path / "leads"
    data = run_leads(embedded.ledger, embedded.inputs.site, out, exclude=exclude, report=False)
    assert [lead.payment.txid for lead in data.leads if lead.excluded] == [chosen.txid]
    assert len(data.leads) == len(embedded.leads.leads)
    assert sum(c.payments for c in data.customers) == len(data.leads) - 1
    assert "line 3" in (out / "exclusions_not_found.txt").read_text()


def test_a_changed_file_of_leads_is_refused(embedded, tmp_path):
    out = tmp_path / "leads"
    run_leads(embedded.ledger, embedded.inputs.site, out, report=False)
    path = out / "leads.jsonl"
    path.write_text(path.read_text().replace('"moderate"', '"strong"', 1))
    with pytest.raises(GeldspurError, match="changed"):
        read_leads_dir(out)


def test_something_else_at_out_is_never_replaced(embedded, tmp_path):
    out = tmp_path / "leads"
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    with pytest.raises(UsageError):
        run_leads(embedded.ledger, embedded.inputs.site, out)
    assert (out / "diary.txt").read_text() == "mine"


def test_a_lead_says_that_all_of_the_money_came_from_one_service_only_where_it_did(embedded):
    said = [lead for lead in embedded.leads.leads if any("came from one service" in s.text for s in lead.statements)]
    assert said
    assert max(lead.source.hops for lead in said) > 4
    for lead in said:
        assert lead.source.hops is not None
        length = f"{counted(lead.source.hops, 'transaction')} after the withdrawal, the payment included"
        assert any(length in s.text for s in lead.statements)
        assert lead.confidence.band == Band.MODERATE
        assert not [origin for origin in lead.alternatives if origin.service not in (None, lead.source.service)]


def test_what_speaks_against_a_lead_is_told_once_a_place_and_adds_up_to_the_rest(embedded):
    weak = [lead for lead in embedded.leads.leads if lead.confidence.band == Band.WEAK]
    assert weak
    for lead in weak:
        told = [s.text for s in lead.against if s.text.startswith("A share of ")]
        places = [text.partition(" leads to ")[2] for text in told]
        assert len(set(places)) == len(places)
        shares = [float(m[1]) / 100 for text in told if (m := re.match(r"A share of ([\d.]+)%", text))]
        assert sum(shares) + lead.source.share == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", ["columns/out_value", "columns/out_spender", "lookup/*/outputs"])
def test_no_lead_rests_on_a_damaged_ledger(name, embedded, tmp_path):
    folder = tmp_path / "ledger"
    shutil.copytree(embedded.ledger.folder, folder)
    assert read_leads_dir(embedded.folder / "leads").manifest.ledger_checked
    (path,) = folder.glob(f"{name}.bin")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(GeldspurError, match="no lead can rest on this ledger") as told:
        run_leads(Ledger(folder), embedded.inputs.site, tmp_path / "leads", report=False)
    assert str(path) in str(told.value.where)
    assert not (tmp_path / "leads").exists()
