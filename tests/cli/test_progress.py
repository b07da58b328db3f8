"""Bars tell how much is done, at which rate and until when, and nothing that they can't know."""

import io

from rich.console import Console

from geldspur.cli import output


def shown(monkeypatch, total, unit):
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "console_err", console)
    with output.Bars().task("Counting", total, unit) as task:
        task.advance(1_234_567)
    return console.file.getvalue()


def test_a_known_end_has_a_count_and_an_eta(monkeypatch):
    text = shown(monkeypatch, 2_000_000, "rows")
    assert "1,234,567/2,000,000" in text
    assert "ETA" in text


def test_an_unknown_end_has_neither_a_total_nor_an_eta(monkeypatch):
    text = shown(monkeypatch, None, "files")
    assert "1,234,567 files" in text
    assert "ETA" not in text
    assert "/?" not in text
