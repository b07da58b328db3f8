import io
import json
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from geldspur.accuracy.demo import run_demo
from geldspur.accuracy.picture import terminal_svg
from geldspur.accuracy.summary import Sealed, summary
from geldspur.errors import UsageError
from geldspur.proof import verify


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    console = Console(file=io.StringIO(), width=100, record=True)
    out = tmp_path_factory.mktemp("demo") / "out"
    return run_demo(out, console=console), console


@pytest.fixture
def result(demo):
    return demo[0]


def page(result, width=100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(summary(result))
    return console.file.getvalue()


def section(text: str, title: str) -> list[str]:
    return text.split(f"{title}\n")[1].split("\n\n", maxsplit=1)[0].splitlines()[1:]


def test_the_demo_finds_every_payment_and_claims_none_through_a_coinjoin(result):
    assert result.passed
    assert result.score.payments.found == result.score.payments.payments == 63
    assert result.score.payments.through_coinjoin_claimed == 0
    assert result.score.payments.precision.value >= 0.985
    assert result.score.cashouts.precision.value >= 0.9


def test_every_package_of_the_demo_verifies_and_holds_the_leads_of_its_country_only(result):
    assert result.packages
    country = {"ex1": "US", "ex2": "KR", "ex3": "DE", "ex4": "GB", "ex5": "ES", "ex6": "CZ"}
    named = Counter(
        country[lead.source.service]
        for lead in result.leads.leads
        if lead.source.service and lead.confidence.band in ("strong", "moderate")
    )
    assert {p.country: p.leads for p in result.packages if p.leads} == named
    for package in result.packages:
        assert verify(package.path, result.out / "headers.bin").verified


def test_the_payments_of_all_trails_add_up(result):
    rows = section(page(result), "Where the money of the site's payments came from")
    numbers = [[int(word) for word in row[23:].split() if word.isdigit()] for row in rows]
    counted = [found[0] for found in numbers if found]
    assert counted[-1] == 63 == sum(counted[:-1])


def test_the_page_fits_100_columns(demo):
    result, console = demo
    assert max(map(len, page(result).splitlines())) <= 100
    *lines, last = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert f"read {result.out / 'leads' / 'report.pdf'} first" in last  # in one piece, however long


def test_the_page_says_what_was_indexed_and_how_it_compares_with_the_truth(result):
    text = page(result)
    assert "801 blocks, 2,472 transactions, 7,169 outputs; 6 stale blocks aside" in text
    assert "800 · 0b486dd32d181077… · 2021-06-25T22:46:02Z" in text
    assert "63 of 63 payments" in text
    assert "presumed innocent" in text


def test_a_package_that_fails_is_told_from_one_that_verifies(result):
    bad = Sealed(result.out / "ES.zip", "ES", 1, 0, 4, False, "hashes: leads.jsonl was changed")
    changed = replace(result, packages=[bad])
    assert "✗ hashes: leads.jsonl was changed" in page(changed)
    assert not changed.passed


def test_the_result_is_json(result):
    told = json.loads(json.dumps(result.as_dict(), default=str))
    assert told["passed"] is True
    assert told["score"]["payments_found"] == 63


def test_the_picture_of_the_terminal_needs_nothing_from_elsewhere(demo):
    svg = terminal_svg(demo[1], "geldspur demo")
    assert svg.startswith("<svg ")
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_a_demo_replaces_an_earlier_demo_and_gives_the_same_leads_and_packages(result, tmp_path):
    out = tmp_path / "again"
    (out / "leads").mkdir(parents=True)
    (out / ".geldspur-demo").touch()
    (out / "leads" / "old").write_text("from an earlier demo")
    run_demo(out)
    assert not (out / "leads" / "old").exists()
    for folder in ("leads", "packages"):
        names = sorted(p.relative_to(out) for p in (out / folder).rglob("*") if p.is_file())
        assert names == sorted(p.relative_to(result.out) for p in (result.out / folder).rglob("*") if p.is_file())
        for name in names:
            assert (out / name).read_bytes() == (result.out / name).read_bytes(), name


def test_a_place_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="isn't an earlier demo"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]
