import pytest

from geldspur.accuracy.rates import measure_rates


@pytest.fixture
def rate_of(case):
    def measure(leads):
        return {(r["rule"], r["version"]): r for r in measure_rates(case.root, leads)["rates"]}

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
    rate = rate_of(leads)["sole-source", 1]
    assert (rate["right"], rate["n"]) == (1, 2)
    assert "63 payments" in rate["population"]
    assert rate["measured_on"] == case.tip_hash()


def test_weak_leads_make_no_rate(case, told, rate_of):
    row = next(r for r in case.table("payments") if r["source_exchange"] and r["via_coinjoin"] == "0")
    leads = told(change={row["txid"]: {"rules": ["sole-source"], "band": "weak"}})
    assert ("sole-source", 1) not in rate_of(leads)


def test_co_spend_is_rated_by_its_merges(case, told, rate_of):
    spent_from = {}
    for row in case.table("outputs"):
        spent_from.setdefault(row["spent_by_txid"], set()).add(row["address"])
    honest = [
        row["txid"]
        for row in case.table("transactions")
        if ";" not in row["input_actors"] and len(spent_from.get(row["txid"], set()) - {""}) > 1
    ]
    rate = rate_of(told())["co-spend", 1]
    assert rate["right"] == rate["n"] == len(honest) > 500


def test_a_payjoin_that_was_merged_is_a_wrong_join_and_a_missed_payjoin(case, told, rate_of):
    payjoins = [row["txid"] for row in case.table("transactions") if row["kind"] == "payjoin"]
    rates = rate_of(told(merge={payjoins[0]}, refuse_not={payjoins[0]}))
    assert rates["co-spend", 1]["n"] - rates["co-spend", 1]["right"] == 1
    assert "of the 7 PayJoins that there were, 6 were not merged" in rates["payjoin", 1]["population"]


def test_a_guard_that_refuses_an_honest_join_is_wrong_once(case, told, rate_of):
    honest = next(row["txid"] for row in case.table("transactions") if row["kind"] == "self_consolidation")
    rate = rate_of(told(refuse={honest: "payjoin"}))["payjoin", 1]
    assert (rate["right"], rate["n"]) == (7, 8)


def test_joins_nobody_told_of_are_not_rated(told, rate_of):
    leads = told()
    (leads / "refused.csv").unlink()
    assert {rule for rule, _ in rate_of(leads)} == {"direct"}


def test_the_version_that_the_leads_cite_is_the_version_that_is_rated(told, rate_of):
    assert ("direct", 3) in rate_of(told(versions={"direct": 3}))
