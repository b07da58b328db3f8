"""The validation page: each requirement, the test that bears it out, and the result of running it here.

A test names its requirement with `@pytest.mark.assertion("EV-RO-01", "one sentence")`. The page has the form that
NIST's Computer Forensics Tool Testing uses: assertion, test case, result. `make` collects and runs these tests:

    python tools/validation.py tests/evidence --out docs/validation/evidence.md
"""

import argparse
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from geldspur import __version__

HEAD = """# Validation of the evidence room

Each requirement with the test that bears it out, in the form of NIST's Computer Forensics Tool Testing: assertion, test
case, result. The tests make their own material: names and rows by hand, and synthetic clips; no real file was used.
Written by `tools/validation.py`; run it again on your own machine, since a result holds for the machine that it was
measured on.

Program: Geldspur {version}, Python {python} on {system}.

| assertion | requirement | test case | result |
|---|---|---|---|
"""


@dataclass
class Case:
    """One assertion and what became of its tests; a parametrized test counts each of its runs."""

    id: str
    text: str
    test: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def result(self) -> str:
        """The word that the page prints."""
        if self.failed:
            return f"**failed** ({self.failed} of {self.failed + self.passed})"
        if self.skipped or not self.passed:
            return "not run here"
        return "passed" if self.passed == 1 else f"passed ({self.passed} cases)"


class Collector:
    """A pytest plugin that keeps the tests that name an assertion, and how they went."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self._of: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep only tests with an assertion; refuse two assertions of one id."""
        kept = [item for item in items if item.get_closest_marker("assertion")]
        for item in kept:
            marker = item.get_closest_marker("assertion")
            assert marker is not None
            name, text = marker.args
            test = item.nodeid.partition("[")[0]
            case = self.cases.setdefault(name, Case(name, text, test))
            if (case.text, case.test) != (text, test):
                raise pytest.UsageError(f"{name} is named by {case.test} and by {test}")
            self._of[item.nodeid] = name
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once, by its call or by what kept it from being called."""
        case = self.cases[self._of[report.nodeid]]
        if report.failed:
            case.failed += 1
        elif report.skipped:
            case.skipped += 1
        elif report.when == "call":
            case.passed += 1


def page(cases: Sequence[Case]) -> str:
    """The page as Markdown."""
    head = HEAD.format(version=__version__, python=platform.python_version(), system=platform.system())
    rows = (f"| {case.id} | {case.text} | `{case.test}` | {case.result} |\n" for case in cases)
    return head + "".join(rows)


def main() -> int:
    """Run the tests and write the page; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="+", help="files or folders of tests")
    parser.add_argument("--out", type=Path, required=True, help="the page")
    parser.add_argument("--collect-only", action="store_true", help="run nothing; the page says so")
    arguments = parser.parse_args()
    collector = Collector()
    options = ["-q", "-p", "no:cacheprovider", *(["--collect-only"] if arguments.collect_only else [])]
    code = pytest.main([*options, *arguments.tests], plugins=[collector])
    cases = [collector.cases[name] for name in sorted(collector.cases)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(page(cases))
    print(f"{len(cases)} assertions, {sum(not case.result.startswith('passed') for case in cases)} without a pass")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
