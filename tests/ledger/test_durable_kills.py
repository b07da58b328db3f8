"""Killed anywhere, the same call again gives the bytes of an undisturbed one; meanwhile no wrong answer is given."""

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chains import Branch, coinbase, tx, write_branches
from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger, index, layout
from geldspur.ledger.build import draft
from geldspur.ledger.build.compact import compact
from killing import calls_of, kill_at
from ledger_facts import bytes_of, check, differing, facts_of

pytestmark = pytest.mark.usefixtures("small_steps")

POINTS = int(os.environ.get("GELDSPUR_KILLS", "3"))
WHEN = ("before", "half", "after")


@dataclass
class Case:
    """Work on a ledger that begins as `start` (None: nothing is there) and holds `branch` in the end."""

    folder: Path
    start: Path | None
    work: Any
    branch: Branch

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def begin(self) -> Path:
        shutil.rmtree(self.ledger, ignore_errors=True)
        if self.start:
            shutil.copytree(self.start, self.ledger)
        return self.ledger

    def do(self) -> None:
        self.work(self.ledger)


def twin_chain():
    """A chain with a duplicate coinbase, so that overwritten outputs are in play."""
    branch, twin = Branch(), coinbase("twin", [(5, b"\x51"), (6, b"\x52")])
    branch.add(base=twin)
    branch.add(tx([(twin.id, 1)], [(1, b"\x51")]))
    return branch.grow(random.Random(1), 25), twin


def first_build(folder, **_):
    branch, twin = twin_chain()
    branch.add(base=twin)
    branch.grow(random.Random(2), 4)
    blocks = write_branches(folder / "blocks", branch)
    return Case(folder, None, lambda ledger: index(blocks, ledger), branch)


def some_appends(folder, branch, heights):
    blocks = write_branches(folder / "start-blocks", branch)
    for height in heights:
        index(blocks, folder / "start", to_height=height)
    return folder / "start"


def an_append(folder, **_):
    branch, twin = twin_chain()
    start = some_appends(folder, branch, [20, 23, None])
    branch.add(base=twin)
    branch.grow(random.Random(2), 12)
    blocks = write_branches(folder / "blocks", branch)
    return Case(folder, start, lambda ledger: index(blocks, ledger), branch)


def a_reorg(folder, **_):
    branch, twin = twin_chain()
    fork = branch.fork(18)
    branch.add(base=twin)
    branch.grow(random.Random(2), 3)
    start = some_appends(folder, branch, [14, None])
    fork.grow(random.Random(3), 20)
    blocks = write_branches(folder / "blocks", branch, fork)
    return Case(folder, start, lambda ledger: index(blocks, ledger), fork)


def a_compaction(folder, **_):
    branch, _ = twin_chain()
    return Case(folder, some_appends(folder, branch, [10, 20, 24, None]), compact, branch)


def a_widening(folder, narrow):
    branch, _ = twin_chain()
    start = some_appends(folder, branch, [20, None])
    narrow(Ledger(start).n_inputs + 20)
    branch.grow(random.Random(2), 12)
    blocks = write_branches(folder / "blocks", branch)
    return Case(folder, start, lambda ledger: index(blocks, ledger), branch)


def a_narrowing(folder, narrow):
    """A compaction that finds columns which were widened for more than came."""
    branch, _ = twin_chain()
    blocks = write_branches(folder / "blocks", branch)
    index(blocks, folder / "start", to_height=24)
    narrow(check(folder / "start", branch.fork(24)).n_outputs + 5)
    branch = branch.fork(24)
    branch.add(tag="last")
    index(write_branches(folder / "more", branch), folder / "start")
    case = Case(folder, folder / "start", compact, branch)
    assert Ledger(case.start).in_prevout.itemsize == 8
    return case


@pytest.fixture
def narrow(monkeypatch):
    def limit(rows):
        monkeypatch.setattr(layout, "NARROW_LIMIT", rows)
        monkeypatch.setattr(draft, "NARROW_LIMIT", 1 << 31)

    return limit


CASES = [first_build, an_append, a_reorg, a_compaction, a_widening, a_narrowing]


@pytest.fixture(params=["first_build_by_disk", *(make.__name__ for make in CASES)])
def case(request, tmp_path, narrow, by_way_of_disk):
    made = {make.__name__: make for make in CASES}.get(request.param, first_build)(tmp_path, narrow=narrow)
    if request.param == "first_build_by_disk":
        by_way_of_disk()
    return made


def undisturbed(case):
    """(calls that change files, bytes in the end, answers that are right meanwhile by tip)."""
    case.begin()
    calls = calls_of(case.do, case.folder / "calls")
    check(case.ledger, case.branch)
    facts = [facts_of(Ledger(folder)) for folder in (case.start, case.ledger) if folder]
    return calls, bytes_of(case.ledger), {f["tip"]: f for f in facts}


def check_meanwhile(case, right):
    """A ledger that opens says what is right at its tip, as far as that is known; one that doesn't says why."""
    try:
        ledger = Ledger(case.ledger)
        facts = facts_of(ledger)
    except GeldspurError as error:
        assert "finished" in error.what or "under way" in error.what, error.what
        return
    if facts["tip"] in right:
        assert facts == right[facts["tip"]]
    else:  # a range of several, or the fork of a reorg
        folder = case.folder / "meanwhile"
        shutil.rmtree(folder, ignore_errors=True)
        source = case.folder / ("blocks" if ledger.tip_hash in hashes(case.branch) else "start-blocks")
        index(source, folder, to_height=ledger.tip_height)
        assert facts == facts_of(Ledger(folder))


def hashes(branch):
    return {block.hash[::-1].hex() for block in branch.blocks}


def test_killed_once_or_more_often(case):
    calls, whole, right = undisturbed(case)
    rng = random.Random(calls)
    for _ in range(POINTS):
        case.begin()
        kills = [(rng.randint(1, calls), rng.choice(WHEN)) for _ in range(rng.choice([1, 1, 2, 4]))]
        for n, when in kills:
            kill_at(n, when, case.do)
            check_meanwhile(case, right)
        case.do()
        assert differing(bytes_of(case.ledger), whole) == [], kills


def test_killed_at_each_of_the_last_calls(case):
    """Where the manifest is switched and what was pending is put away."""
    calls, whole, right = undisturbed(case)
    numbers, killed = range(max(1, calls - min(2 * POINTS, 30)), calls + 1), 0
    for n in numbers:
        case.begin()
        when = WHEN[n % 3]
        killed += kill_at(n, when, case.do)
        check_meanwhile(case, right)
        case.do()
        assert differing(bytes_of(case.ledger), whole) == [], (n, when)
    assert killed > len(numbers) // 2
