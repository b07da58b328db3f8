"""The flow picture is true to scale, readable and in words too; printed text is what it was."""

import re
from xml.etree import ElementTree

import pytest
import report_sample as sample
from hypothesis import given
from hypothesis import strategies as st
from report_sample import hostile_rows, named

from geldspur.leads.report import flow_svg
from geldspur.leads.report.flow import build_flow
from geldspur.leads.report.picture import CARD_WIDTH, WIDTH
from geldspur.leads.report.plain import TEXT_LIMIT, btc, clean
from geldspur.leads.report.selection import select

SVG = "{http://www.w3.org/2000/svg}"


def cards(svg: str) -> list[tuple[float, float, float, float]]:
    root = ElementTree.fromstring(svg)
    found = []
    for rect in root.iter(f"{SVG}rect"):
        x, y, width, height = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
        if width == CARD_WIDTH:
            found.append((x, y, width, height))
    return found


def texts(svg: str) -> str:
    return " | ".join(text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text"))


@pytest.mark.parametrize(
    ("count", "services", "cashouts"), [(1, 1, 0), (8, 1, 1), (60, 6, 4), (400, 12, 9), (900, 30, 40)]
)
def test_cards_of_the_picture_neither_overlap_nor_leave_it(count: int, services: int, cashouts: int) -> None:
    svg = flow_svg(sample.rows(count, services, cashouts))
    height = float(ElementTree.fromstring(svg).get("height", "0"))
    found = cards(svg)
    assert len(found) >= 5
    for x, y, width, tall in found:
        assert x >= 0
        assert x + width <= WIDTH
        assert y >= 0
        assert y + tall <= height
    for place, (x, y, width, tall) in enumerate(found):
        for ox, oy, owidth, otall in found[place + 1 :]:
            assert x + width <= ox or ox + owidth <= x or y + tall <= oy or oy + otall <= y


def test_the_picture_names_twelve_services_and_counts_the_others() -> None:
    text = texts(flow_svg(sample.rows(600, 30, 4)))
    assert len(set(re.findall(r"\| (ex\d+) \|", text))) == 12
    assert "18 other services" in text or "19 other services" in text


def test_the_picture_labels_every_flow_with_its_count_and_amount() -> None:
    data = sample.rows(30, 3)
    text = texts(flow_svg(data))
    direct = [lead for lead in named(data) if lead.source.exposure == "direct"]
    value = sum(lead.payment.value_sat for lead in direct)
    assert f"Direct | {len(direct)} payments, {value / 1e8:.4f} BTC" in text
    assert "30 payments" in text
    assert "Stopped: ambiguous" in text
    assert "Other payouts | 1 payment, 0.0210 BTC" in text


@pytest.mark.parametrize(("count", "cashouts"), [(1, 0), (12, 4), (90, 3), (300, 0)])
def test_what_enters_a_card_of_the_picture_also_leaves_it(count: int, cashouts: int) -> None:
    flow = build_flow(select(sample.rows(count, cashouts=cashouts), None))
    for node in flow.nodes:
        entering = sum(link.value_sat for link in flow.links if link.target == node.key)
        leaving = sum(link.value_sat for link in flow.links if link.source == node.key)
        if node.column in (1, 3) and entering and leaving:
            assert entering == leaving == node.value_sat
        elif node.column in (0, 4):
            assert entering + leaving == node.value_sat


def test_the_picture_says_so_when_there_are_no_cashouts() -> None:
    assert "No cash-out found" in texts(flow_svg(sample.rows(5, 2, 0)))


def test_long_and_hostile_names_stay_inside_their_cards() -> None:
    svg = flow_svg(hostile_rows())
    assert "<svg onload" not in svg
    assert max(len(part) for part in texts(svg).split(" | ")[:-1]) < 60


@given(st.text(max_size=900))
def test_cleaned_text_is_printable_and_no_longer_than_the_limit_allows(text: str) -> None:
    result = clean(text)
    assert all(char.isprintable() or char in "\u2068\u2069" for char in result)
    assert len(result) <= TEXT_LIMIT * 9 + 60


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=TEXT_LIMIT))
def test_plain_text_is_printed_as_it_stands(text: str) -> None:
    assert clean(text) == text


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_amounts_are_exact(value_sat: int) -> None:
    assert int(btc(value_sat).replace(",", "").replace(".", "")) == value_sat
