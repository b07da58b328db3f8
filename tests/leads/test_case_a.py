"""The figures that the whole way must reach on the large case, where every owner is known."""

import json
import subprocess
import sys

import pytest

from geldspur.accuracy import open_case
from geldspur.accuracy.rates import measure_rates
from worked import work_through


@pytest.fixture(scope="module")
def worked(unpacked, tmp_path_factory):
    return work_through(open_case(unpacked("A")), tmp_path_factory.mktemp("case-a"))


@pytest.fixture(scope="module")
def figures(worked, shared, unpacked):
    # The scorer that came with the case, not this project's own.
    command = [sys.executable, shared / "tools" / "score_case.py", unpacked("A"), worked.folder / "leads", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def test_every_payment_is_found(figures):
    assert figures["payments_found"] == figures["payments"] == 601
    assert figures["rows_not_payments"] == 0


def test_named_leads_are_right(figures):
    assert figures["precision"] >= 0.985
    assert figures["strong_precision"] >= 0.995
    assert figures["recall"] >= 0.75


def test_nothing_is_claimed_through_a_coinjoin(figures):
    assert figures["through_coinjoin"] > 60
    assert figures["through_coinjoin_claimed"] == 0


def test_cashouts_are_right(figures):
    assert figures["cashout_precision"] >= 0.90
    assert figures["cashout_recall"] >= 0.55


def test_few_wallets_hold_two_owners(figures):
    assert figures["wallets_with_two_owners"] <= 15


def test_no_coinjoin_joins_anything(worked, unpacked):
    truth = {row["txid"] for row in open_case(unpacked("A")).table("coinjoins")}
    refused = {line.split(",")[0] for line in (worked.folder / "leads" / "refused.csv").read_text().splitlines()}
    assert truth <= refused


def test_dust_is_kept_apart_with_its_reason(worked):
    reasons = {row.reason for row in worked.leads.not_payments}
    assert reasons == {"forced-reuse"}
    assert all(row.payment.value_sat < 1000 for row in worked.leads.not_payments)


def test_the_rates_in_the_package_are_those_of_this_case(worked):
    """The printed error rates are measured, not written by hand: measuring again gives the same numbers."""
    from importlib import resources

    stored = json.loads((resources.files("geldspur.rules") / "rates.json").read_text())
    assert stored["rates"], "no rule has a measured rate"
    assert measure_rates(worked.case.root, worked.folder / "leads") == stored
