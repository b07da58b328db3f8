"""The evidence room's demonstration comes out as its tree was made."""

import json

import pytest

from geldspur.accuracy.seized import run_evidence_demo
from geldspur.errors import UsageError


def test_the_demonstration_comes_out_as_made(tmp_path):
    first = run_evidence_demo(tmp_path / "demo")
    assert first.passed, (first.figures, first.checks)
    assert set(first.checks.values()) == {"ok", "not checked"}
    made = {path.name: path.read_bytes() for path in (tmp_path / "demo" / "report").iterdir()}
    figures = json.loads(made["report.json"])["figures"]
    assert {figure["name"]: figure["value"] for figure in figures} == first.figures
    assert {name: first.figures[name] for name in ("contents.identical", "contents.near")} == {
        "contents.identical": 1,
        "contents.near": 3,
    }


def test_a_strangers_folder_is_left_alone(tmp_path):
    (tmp_path / "kept").write_text("kept")
    with pytest.raises(UsageError, match="isn't an earlier demo"):
        run_evidence_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
