import pytest

from geldspur.accuracy.rates import measure_rates
from geldspur.rules.registry import ErrorRate


@pytest.fixture
def rate_of(case):
    """The one rate of a rule whose population contains a word."""

    def measure(leads, rule, word) -> ErrorRate:
        (row,) = [
            row for row in measure_rates(case.root, leads)["rates"] if row["rule"] == rule and word in row["population"]
        ]
        assert row["version"] == 1
        return ErrorRate(row["right"], row["n"], row["population"], row["measured_on"])

    return measure


def test_a_rule_s_rate_counts_the_leads_whose_weakest_step_it_is(case, told, rate_of):
    rows = [r for r in case.table("payments") if r["source_exchange"] == "ex6" and r["via_coinjoin"] == "0"]
    right, wrong = rows[0]["txid"], rows[1]["txid"]
    leads = told(
        change={
            right: {"rules": ["co-spend", "sole-source"]},
            wrong: {"rules": ["sole-source", "co-spend"], "service": "ex1"},
        }
    )
    rate = rate_of(leads, "sole-source", "leads")
    assert (rate.right, rate.n) == (1, 2)
    assert rate.measured_on == case.tip_hash()
    assert rate.sentence().startswith("wrong 1 of 2 times")


def test_weak_leads_make_no_rate(case, told):
    row = next(r for r in case.table("payments") if r["source_exchange"] and r["via_coinjoin"] == "0")
    leads = told(change={row["txid"]: {"rules": ["sole-source"], "band": "weak"}})
    assert "sole-source" not in {rate["rule"] for rate in measure_rates(case.root, leads)["rates"]}


def test_co_spend_is_rated_by_its_merges(case, told, rate_of):
    spent_from = {}
    for row in case.table("outputs"):
        spent_from.setdefault(row["spent_by_txid"], set()).add(row["address"])
    honest = [
        row["txid"]
        for row in case.table("transactions")
        if ";" not in row["input_actors"] and len(spent_from.get(row["txid"], set()) - {""}) > 1
    ]
    rate = rate_of(told(), "co-spend", "joined")
    assert rate.right == rate.n == len(honest) > 500


def test_co_spend_is_rated_by_its_leads_as_well(case, told, rate_of):
    through_own_wallets = [
        r for r in case.table("payments") if r["source_exchange"] and r["hop_count"] != "0" and r["via_coinjoin"] == "0"
    ]
    rate = rate_of(told(), "co-spend", "leads")
    assert rate.right == rate.n == len(through_own_wallets)


def test_a_payjoin_that_was_joined_is_a_wrong_join_and_a_missed_payjoin(case, told, rate_of):
    payjoins = [row["txid"] for row in case.table("transactions") if row["kind"] == "payjoin"]
    leads = told(merge={payjoins[0]}, refuse_not={payjoins[0]})
    joined = rate_of(leads, "co-spend", "joined")
    assert joined.n - joined.right == 1
    caught = rate_of(leads, "payjoin-guard", "true PayJoins")
    assert (caught.right, caught.n) == (6, 7)


def test_a_guard_that_refuses_an_honest_join_is_wrong_once(case, told, rate_of):
    honest = next(row["txid"] for row in case.table("transactions") if row["kind"] == "self_consolidation")
    rate = rate_of(told(refuse={honest: "payjoin"}), "payjoin-guard", "refused")
    assert (rate.right, rate.n) == (7, 8)


def test_rules_that_the_run_did_not_tell_of_are_not_rated(case, told):
    leads = told()
    (leads / "refused.csv").unlink()
    rates = measure_rates(case.root, leads)["rates"]
    assert {rate["rule"] for rate in rates} == {"co-spend"}
    assert all("leads" in rate["population"] for rate in rates)
