import io

from rich.console import Console

from geldspur.accuracy.score import score
from geldspur.accuracy.terminal import render


def printed(result, width=100) -> str:
    console = Console(file=io.StringIO(), width=width)
    render(result, console)
    return console.file.getvalue()


def test_a_score_names_its_errors_beside_its_figures(case, told):
    row = next(r for r in case.table("payments") if r["source_exchange"] == "ex3" and r["via_coinjoin"] == "0")
    text = printed(score(case, told(change={row["txid"]: {"service": "ex1", "rules": ["sole-source"]}})))
    assert "named rightly" in text
    assert "Wrongly named payments (1)" in text
    assert row["txid"][:10] in text
    assert "another service named" in text


def test_a_faultless_score_lists_no_errors(case, told):
    text = printed(score(case, told()))
    assert "63 of 63 payments" in text
    assert "Wrongly" not in text


def test_a_score_fits_a_100_column_terminal(case, guessed):
    assert max(map(len, printed(score(case, guessed(3))).splitlines())) <= 100
