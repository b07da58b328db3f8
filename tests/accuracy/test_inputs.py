import csv
import subprocess
import sys

import pytest
import yaml

from geldspur.accuracy.inputs import write_inputs


@pytest.fixture(scope="module")
def inputs(case, tmp_path_factory):
    return write_inputs(case, tmp_path_factory.mktemp("inputs"))


def test_the_files_mean_the_same_as_those_of_the_reference_tool(case, inputs, shared, tmp_path):
    subprocess.run([sys.executable, shared / "tools" / "case_inputs.py", case.root, tmp_path], check=True)
    assert inputs.site.read_bytes() == (tmp_path / "site.csv").read_bytes()
    for ours in (inputs.tagpack, inputs.actorpack):
        assert yaml.safe_load(ours.read_text()) == yaml.safe_load((tmp_path / ours.name).read_text())


def test_nothing_else_of_the_truth_passes(case, inputs):
    text = inputs.site.read_text() + inputs.tagpack.read_text() + inputs.actorpack.read_text()
    known = {row["address"] for row in case.table("known_tags")}
    for row in case.table("addresses"):
        may_pass = row["role"] == "site_deposit" or row["address"] in known
        assert (row["address"] in text) == may_pass
    assert not any(row["txid"] in text for row in case.table("transactions"))


def test_each_site_address_comes_with_the_account_it_was_issued_to(case, inputs):
    with inputs.site.open(newline="") as file:
        rows = list(csv.DictReader(file))
    holder = {row["address"]: row["holder"] for row in case.table("addresses")}
    assert len(rows) == 39
    assert all(holder[row["address"]] == row["customer"] for row in rows)


def test_every_tagged_actor_is_in_the_actor_pack_and_every_exchange_has_a_jurisdiction(inputs):
    tags = yaml.safe_load(inputs.tagpack.read_text())["tags"]
    actors = {actor["id"]: actor for actor in yaml.safe_load(inputs.actorpack.read_text())["actors"]}
    assert {tag["actor"] for tag in tags} == actors.keys()
    for actor in actors.values():
        assert bool(actor["jurisdictions"]) == ("exchange" in actor["categories"])
