"""No sentence of the program says more than it can know; every page of the report says what a lead is not."""

import ast
import io
import re
from pathlib import Path

import pypdf
import pytest
import report_sample

from geldspur.leads.report import flow_svg, write_report
from geldspur.leads.report.words import STANDING

SOURCE = Path(__file__).parents[2] / "src" / "geldspur"
FORBIDDEN = {
    "ownership": r"\bbelong(s|ed|ing)? to\b|\b(is|are|was|were) (owned|controlled) by\b|\bowner is\b",
    "guilt": r"\bguilty\b|\bculprits?\b|\boffenders?\b|\bthe perpetrators?\b|\bcriminals?\b",
    "crime": r"\bcommitted (a|the) (crime|offen[cs]e)\b|\bdirty (money|coins?)\b|\billicit\b|\btainted\b",
    "certainty": r"\bproves\b|\bproven (to|that)\b|\bundoubtedly\b|\bwithout (a )?doubt\b|\bcertainly\b",
    "identity": r"\bidentif(y|ies|ied) (the|as the) (person|payer|customer|operator|holder)\b|\bunmask",
}
ALLOWED = ("not proof of guilt",)


def sentences(path: Path) -> list[tuple[int, str]]:
    """Every text of a Python file that a user may read: its strings, f-strings joined; no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docs |= {
                id(child.value)
                for child in node.body
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            }
    found, inside = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            inside |= {id(part) for part in node.values}
            found.append((node.lineno, "".join(map(str, parts))))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inside:
            found.append((node.lineno, node.value))
    return found


def wrong(text: str) -> list[str]:
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    return [name for name, pattern in FORBIDDEN.items() if re.search(pattern, text, re.IGNORECASE)]


@pytest.mark.parametrize(
    "text",
    [
        "This address belongs to John.",
        "the offender withdrew",
        "which proves that he paid",
        "The payer is guilty.",
        "criminal proceeds",
        "the address is controlled by the payer",
    ],
)
def test_the_lint_knows_a_forbidden_sentence(text: str) -> None:
    assert wrong(text)


def test_the_lint_reads_strings_but_not_docstrings(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text('"""belongs to"""\nA = f"it {1} belongs " "to him"\n')
    assert [text for _, text in sentences(file) if wrong(text)] == ["it … belongs to him"]


def test_no_sentence_of_the_program_is_forbidden() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 30
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {wrong(text)}: {text}"
        for path in files
        for line, text in sentences(path)
        if wrong(text)
    ]
    assert found == []


def test_no_template_is_forbidden() -> None:
    texts = [path for form in ("typ", "txt", "md", "html", "j2") for path in sorted(SOURCE.rglob(f"*.{form}"))]
    assert any(path.suffix == ".typ" for path in texts)
    assert [path.name for path in texts if wrong(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("country", [None, "DE", "ZZ"])
def test_every_page_carries_the_standing_line_and_is_marked_as_not_reviewed(
    tmp_path: Path, country: str | None
) -> None:
    write_report(report_sample.rows(20), tmp_path / "report.pdf", country=country)
    pages = pypdf.PdfReader(io.BytesIO((tmp_path / "report.pdf").read_bytes())).pages
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        text = " ".join(page.extract_text().split())
        assert STANDING in text
        assert "not reviewed" in text
        assert f"{number}/{len(pages)}" in text
        assert not wrong(text)


def test_every_lead_says_that_the_account_holder_is_unknown(tmp_path: Path) -> None:
    data = report_sample.rows(20)
    write_report(data, tmp_path / "report.pdf")
    text = " ".join(" ".join(page.extract_text().split()) for page in pypdf.PdfReader(tmp_path / "report.pdf").pages)
    blocks = sum(lead.confidence.band in ("strong", "moderate") for lead in data.leads) + len(data.cashouts)
    assert text.count("Account holder unknown.") >= blocks


def test_the_picture_names_nobody(tmp_path: Path) -> None:
    assert not wrong(flow_svg(report_sample.rows(20)))
