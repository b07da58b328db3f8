"""The decoders hold on every input of the corpus, and on mutations of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz_targets import TARGETS

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests" / "corpus"


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_holds(target):
    seeds = sorted((CORPUS / target).iterdir())
    assert len(seeds) >= 9
    for path in seeds:
        TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_mutations_of_the_corpus_hold(target, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), target, "--seconds", "12"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "none failed" in done.stdout


def test_a_failing_input_is_kept(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fuzz; fuzz.by_structure(bytes.decode, [b'a' * 9], 5, 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "tools")], cwd=tmp_path, capture_output=True, check=False
    )
    assert b"UnicodeDecodeError" in done.stderr
    (kept,) = tmp_path.glob("crash-decode-*")
    with pytest.raises(UnicodeDecodeError):
        kept.read_bytes().decode()
