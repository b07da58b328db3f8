import json
import subprocess
import sys

import pytest

from geldspur.accuracy.claims import payment_claims
from geldspur.accuracy.score import score
from geldspur.errors import GeldspurError


@pytest.mark.parametrize("seed", range(12))
def test_every_figure_equals_that_of_the_reference_scorer(case, guessed, shared, seed):
    leads = guessed(seed)
    script = shared / "tools" / "score_case.py"
    reference = subprocess.run(
        [sys.executable, script, case.root, leads, "--json"], check=True, capture_output=True, text=True
    )
    assert json.loads(json.dumps(score(case, leads).figures())) == json.loads(reference.stdout)


def test_figures_of_parts_that_were_not_written_are_absent_as_in_the_reference(case, guessed, shared):
    leads = guessed(1)
    (leads / "cashouts.jsonl").unlink()
    (leads / "wallets.csv").unlink()
    script = shared / "tools" / "score_case.py"
    reference = subprocess.run(
        [sys.executable, script, case.root, leads, "--json"], check=True, capture_output=True, text=True
    )
    assert score(case, leads).figures().keys() == json.loads(reference.stdout).keys()


def test_the_truth_told_back_scores_full_marks(case, told):
    result = score(case, told())
    assert result.payments.precision.value == 1
    assert result.payments.recall.value == 1
    assert result.payments.withdrawal_exact.value == 1
    assert result.payments.through_coinjoin == 6
    assert result.payments.through_coinjoin_claimed == 0
    assert result.payments.wrong == result.payments.missed == []
    assert result.cashouts.precision.value == result.cashouts.recall.value == 1
    assert result.wallets.pair_precision.value == result.wallets.pair_recall.value == 1
    assert result.wallets.two_owners == []
    assert result.joins.merged.value == result.joins.coinjoins.value == result.joins.payjoins.value == 1
    assert result.joins.refused_wrongly == {}


def test_a_claim_through_a_coinjoin_is_wrong_and_the_truth_says_why(case, told):
    mixed = next(row for row in case.table("payments") if row["via_coinjoin"] == "1")
    leads = told(change={mixed["txid"]: {"service": "ex6", "band": "moderate", "rules": ["sole-source"]}})
    payments = score(case, leads).payments
    assert payments.through_coinjoin_claimed == 1
    (wrong,) = payments.wrong
    assert wrong.payment == f"{mixed['txid']}:{mixed['vout']}"
    assert wrong.rules == ["sole-source"]
    assert wrong.truth.startswith("through a CoinJoin; before it ")


def test_a_wrong_exchange_is_listed_with_the_true_sources_and_missed_with_its_cause(case, told):
    row = next(row for row in case.table("payments") if row["source_exchange"] == "ex3")
    leads = told(change={row["txid"]: {"service": "ex1", "band": "strong", "rules": ["co-spend"]}})
    payments = score(case, leads).payments
    (wrong,) = payments.wrong
    assert (wrong.named, wrong.band) == ("ex1", "strong")
    assert wrong.truth == f"ex3 100%, {row['hop_count']} hops"
    (missed,) = payments.missed
    assert (missed.service, missed.cause) == ("ex3", "another service named")
    assert payments.by_rule["co-spend"].n - payments.by_rule["co-spend"].right == 1


def test_each_way_to_miss_a_payment_has_its_own_cause(case, told):
    rows = [r for r in case.table("payments") if r["source_exchange"] and r["via_coinjoin"] == "0"][:4]
    stopped, weak, dust, gone = (row["txid"] for row in rows)
    leads = told(
        change={
            stopped: {"service": None, "band": "none", "stop": "hub"},
            weak: {"band": "weak"},
        },
        drop={dust, gone},
    )
    (leads / "not_payments.jsonl").write_text(
        json.dumps({"payment": {"txid": dust, "vout": int(rows[2]["vout"])}, "reason": "dust"}) + "\n"
    )
    missed = {m.payment.split(":")[0]: m.cause for m in score(case, leads).payments.missed}
    assert missed == {
        stopped: "stopped: hub",
        weak: "right, but weak",
        dust: "taken for dust",
        gone: "no lead written",
    }


def test_a_cash_out_named_too_weakly_is_told_from_one_named_wrongly_and_one_not_reached(case, told):
    rows = case.table("cashouts")
    leads = told()
    lines = [json.loads(line) for line in (leads / "cashouts.jsonl").read_text().splitlines()]
    lines[0]["confidence"]["band"] = "weak"
    lines[1]["service"] = "ex1"
    (leads / "cashouts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[:3]))
    missed = {m.payment: m.cause for m in score(case, leads).cashouts.missed}
    causes = ["right, but weak", "another service named", "not followed to it"]
    assert missed == {
        f"{row['txid']}:{row['vout']}": cause for row, cause in zip([*rows[:2], rows[3]], causes, strict=True)
    }


def test_a_lead_is_booked_on_the_weakest_rule_of_its_path(case, told):
    row = next(row for row in case.table("payments") if row["source_exchange"])
    leads = told(change={row["txid"]: {"rules": ["co-spend", "sole-source", "co-spend"]}})
    claim = payment_claims(leads)[row["txid"], int(row["vout"])]
    assert claim.rules == ("co-spend", "sole-source")
    assert claim.weakest_rule == "sole-source"


def test_a_wallet_with_two_owners_is_named_with_the_transactions_that_joined_them(case, told):
    payjoin = next(row for row in case.table("transactions") if row["kind"] == "payjoin")
    leads = told(merge={payjoin["txid"]}, refuse_not={payjoin["txid"]})
    result = score(case, leads)
    (wallet,) = result.wallets.two_owners
    assert sorted(wallet.addresses_of) == sorted(payjoin["input_actors"].split(";"))
    assert wallet.joined_by == [payjoin["txid"]]
    assert result.joins.payjoins.n - result.joins.payjoins.right == 1
    assert result.joins.merged.n - result.joins.merged.right == 1


def test_a_join_refused_wrongly_is_named_with_its_reason(case, told):
    honest = next(row for row in case.table("transactions") if row["kind"] == "self_consolidation")
    joins = score(case, told(refuse={honest["txid"]: "payjoin: unnecessary input"})).joins
    assert joins.refused_wrongly == {honest["txid"]: "payjoin: unnecessary input"}
    guard = joins.guards["payjoin: unnecessary input"]
    assert (guard.refused, guard.one_owner, guard.kinds) == (1, 1, {"self_consolidation": 1})


def test_joins_are_not_scored_when_the_wallets_edition_did_not_tell_its_refusals(case, guessed):
    assert score(case, guessed(1)).joins is None


def test_a_broken_row_is_named_by_file_and_line(case, told):
    leads = told()
    with (leads / "leads.jsonl").open("a") as file:
        file.write('{"payment": \n')
    lines = (leads / "leads.jsonl").read_text().count("\n")
    with pytest.raises(GeldspurError, match=rf"leads.jsonl:{lines}"):
        score(case, leads)


def test_the_whole_score_is_json(case, guessed):
    told = json.loads(json.dumps(score(case, guessed(2)).as_dict()))
    assert told["figures"]["payments"] == told["payments"]["payments"] == 63
    assert told["payments"]["precision"].keys() == {"right", "n", "value", "wilson95"}
