"""Any name is shown on one line, as it is read, and can be told back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geldspur.evidence.names import for_json, is_plain, raw, shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"holiday.jpg", "holiday.jpg"),
        ("Übung/Фото 1.jpg".encode(), "Übung/Фото 1.jpg"),
        (b"na\xefve_\xff.bin", r"na\xefve_\xff.bin"),
        (b"two\nlines\x1b[2J", r"two\x0alines\x1b[2J"),
        ("gpj\u202e.exe".encode(), r"gpj\u{202e}.exe"),
        ("zero\u200bwidth\u00a0space".encode(), r"zero\u{200b}width\u{a0}space"),
        (rb"back\x41slash", r"back\\x41slash"),
        (b"\xc2\x85next line", r"\u{85}next line"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),  # a surrogate is no UTF-8
    ],
)
def test_a_name_is_shown_without_its_tricks(name, text):
    assert shown(name) == text
    assert is_plain(name) == (name.decode("utf-8", "replace") == text)


@pytest.mark.assertion("EV-SC-14", "Any file name is shown on one printable line, and its bytes can be told back.")
@given(st.binary(max_size=40) | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))
def test_every_name_can_be_told_back_and_is_one_printable_line(name):
    text = shown(name)
    assert text.isprintable()
    assert raw(text) == name
    told = for_json(name)
    assert told == {"path": text} if is_plain(name) else told == {"path": text, "path_hex": name.hex()}
