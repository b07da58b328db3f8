"""Whatever a list's file holds: it is read and counts add up, or it is refused with a typed error."""

import gzip
import json
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_lists_formats import NCMEC, PLAIN, US, nsrl, text

from geldspur.errors import GeldspurError
from geldspur.evidence.lists import make_list


def _nsrl_bytes():
    """A whole database, as small as SQLite makes one."""
    with tempfile.TemporaryDirectory() as name:
        rows = [(text(n, "sha256"), text(n, "sha1"), text(n), "a", 1) for n in range(40)]
        nsrl(Path(name) / "x.db", rows)
        return (Path(name) / "x.db").read_bytes()


_MEDIA = {"MediaID": 1, "Category": 1, "MD5": text(1), "SHA1": text(1, "sha1"), "PhotoDNA": "AA==",
          "AlternativeHashes": [{"HashName": "PDQ", "HashValue": text(1, "sha256")}]}  # fmt: skip
_INDICATOR = {"id": "1", "type": "HASH_PDQ", "indicator": text(1, "sha256"), "tags": {"data": [{"text": "b"}]}}
_FRAME = f"{text(1, 'sha256')},90,1.000"
SAMPLES = {
    "vics set": json.dumps({"@odata.context": US + "Media", "value": [_MEDIA] * 3}).encode(),
    "vics case": json.dumps({"odata.metadata": "x/1.3.xml#Cases", "value": [{"Media": [_MEDIA] * 2}]}).encode(),
    "ncmec": NCMEC.format(
        md5=text(1), sha1=text(1, "sha1"), pdq=text(2, "sha256"), gone=text(3), kept=text(4)
    ).encode(),
    "ncmec json": json.dumps(
        [{"id": "a", "member_id": 4, "deleted": False, "fingerprints": {"md5": text(1)}}]
    ).encode(),
    "threatexchange": json.dumps({"data": [_INDICATOR] * 2}).encode(),
    "threatexchange lines": (json.dumps(_INDICATOR) + "\n").encode() * 3,
    "vpdq": json.dumps([_FRAME] * 3).encode(),
    "vpdq frames": json.dumps({"0": {"hash": text(1, "sha256"), "quality": 80}}).encode(),
    "nsrl": _nsrl_bytes(),
    "gzip": gzip.compress(PLAIN["bare"].encode() * 20, mtime=0),
    **{name: content.encode() for name, content in PLAIN.items()},
}
_PIECES = [b'"', b"{", b"}", b"[", b"]", b",", b"\n", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"<", b"&a;", b"null",
           b"1e999", b"-", b'"MD5":', b'"value":{', b"<!DOCTYPE a>", b"9" * 400, b"\\ud800", b"%%%% "]  # fmt: skip


@st.composite
def mutated(draw, sample):
    content = bytearray(sample)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(0, 12))
        match draw(st.integers(0, 3)):
            case 0:
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                content[at : at + length] = b""
            case 2:
                content[at:at] = draw(st.sampled_from(_PIECES))
            case _:
                del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_mutated_list_is_counted_or_refused(name):
    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(content=mutated(SAMPLES[name]))
    def run(content):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "list"
            file.write_bytes(content)
            try:
                found = make_list(file, Path(folder) / "out")
            except GeldspurError as error:
                assert not isinstance(error.__cause__, AssertionError)
                assert sorted(Path(folder).iterdir()) == [file]
                return
            found.verify()
            assert found.entries + found.rejected + found.deleted > 0
            assert sum(found.unmatchable.values()) <= found.entries
            for row in range(found.entries):
                found.category(row)

    run()


def test_a_database_that_is_no_nsrl_set_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("CREATE TABLE other (a)")
    with pytest.raises(GeldspurError, match="no NSRL data set"):
        make_list(tmp_path / "x.db", tmp_path / "out")
