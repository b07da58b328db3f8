"""The validation page and the tests do not drift apart."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "validation" / "evidence.md"


def assertions():
    """(id, text, test) of every test that names one, read from the sources."""
    for path in sorted((ROOT / "tests" / "evidence").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for decorator in getattr(node, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.assertion":
                    name, text = (ast.literal_eval(argument) for argument in decorator.args)
                    yield name, text, f"{path.relative_to(ROOT)}::{node.name}"


def test_each_assertion_of_the_page_has_its_test_and_each_test_its_line():
    rows = re.findall(r"^\| (EV-\S+) \| (.*) \| `(.*)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert {row[:3] for row in rows} == set(assertions())
    assert len({row[0] for row in rows}) == len(rows) > 0
    assert not [row for row in rows if "failed" in row[3]]
