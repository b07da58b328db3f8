"""Each format of hash lists, in the shapes that public code writes and reads. All digests are of invented bytes."""

import base64
import gzip
import hashlib
import json
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from geldspur.cli.app import app
from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.lists import make_list

US = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#"
EMPTY_MD5 = hashlib.md5(b"").hexdigest()


def digest(number, kind="md5"):
    return hashlib.new(kind, b"invented %d" % number).digest()


def text(number, kind="md5"):
    return digest(number, kind).hex()


def compiled(tmp_path, content, **options):
    file = tmp_path / "list.any"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return make_list(file, tmp_path / "compiled", **options)


def rows_of(found, kind, digests):
    """{number of the digest: rows} as `find` has them."""
    queries = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1)
    answer = {}
    for query, row in zip(*found.find(kind, queries), strict=True):
        answer.setdefault(int(query), []).append(int(row))
    return answer


@pytest.mark.assertion(
    "EV-LI-04", "Categories of a VICS 2.0 set are kept with the country that gives them their meaning."
)
def test_a_vics_2_set_keeps_its_categories_with_their_country(tmp_path):
    photodna = base64.b64encode(bytes(range(144))).decode()
    media = [
        {"MediaID": 1, "Category": 1, "MD5": text(1).upper(), "SHA1": text(1, "sha1"), "MediaSize": "12"},
        {"MediaID": 2, "Category": None, "MD5": base64.b64encode(digest(2)).decode(), "IsPrecategorized": "true"},
        {"MediaID": 3, "Category": "2", "MD5": text(1), "PhotoDNA": photodna, "DateUpdated": "2025-01-02T03:04:05Z"},
        {"MediaID": 4, "Category": 1, "AlternativeHashes": [{"HashName": "PhotoDNA", "HashValue": photodna}]},
        {
            "MediaID": 5,
            "Category": 2,
            "MD5": None,
            "MediaFiles": [{"MD5": text(99)}, {"FileName": "x"}, {"MD5": text(99).upper()}],
            "AlternativeHashes": [
                {"HashName": "SHA256", "HashValue": text(5, "sha256")},
                {"HashName": "PDQ", "HashValue": text(6, "sha256")},
                {"HashName": "F1", "HashValue": "x"},
            ],
        },
        {"MediaID": 6, "Category": 2, "MD5": EMPTY_MD5},
    ]
    content = json.dumps({"@odata.context": US + "Media", "value": media}, indent=1)
    found = compiled(tmp_path, b"\xef\xbb\xbf" + content.encode())
    assert (found.format, found.version, found.scheme, found.kind) == ("vics-2.0", "2.0", "US", "material")
    assert (found.entries, found.rejected, found.made) == (6, 0, "2025-01-02")
    assert found.counts == {"md5": 4, "sha1": 1, "sha256": 1, "pdq": 1}
    assert found.unmatchable == {"PhotoDNA": 1, "digest of the empty file or of zeros": 1}
    assert found.excluded == {"of the empty file": 1}
    assert rows_of(found, "md5", [digest(1), digest(2), digest(99), bytes.fromhex(EMPTY_MD5)]) == {
        0: [0, 2],
        1: [1],
        2: [4],
    }
    assert rows_of(found, "sha256", [digest(5, "sha256")]) == {0: [4]}
    assert [found.category(row) for row in range(6)] == ["1", None, "2", "1", "2", "2"]
    assert found.categories == {"1": 2, "2": 3}
    hashes, rows = found.pdq()
    assert bytes(hashes[0]) == digest(6, "sha256") and list(rows) == [4]


@pytest.mark.assertion(
    "EV-LI-07", "Where a VICS media has no MD5, the one of its files is read and told; files that disagree give none."
)
def test_a_media_without_md5_has_the_one_that_all_its_files_have(tmp_path):
    media = [
        {"MediaID": 1, "MediaFiles": [{"MD5": text(1)}, {"MD5": base64.b64encode(digest(1)).decode()}]},
        {"MediaID": 2, "SHA1": text(2, "sha1"), "MediaFiles": [{"MD5": text(2)}, {"MD5": text(3)}]},
        {"MediaID": 3, "MD5": text(4), "MediaFiles": [{"MD5": text(5)}]},
        {"MediaID": 4, "MediaFiles": [{"MD5": "none"}]},
        {"MediaID": 5, "MediaFiles": "no list"},
        {"mediaid": 6, "mediafiles": [{"md5": text(6)}]},
    ]
    found = compiled(tmp_path, json.dumps({"@odata.context": US + "Media", "value": media}))
    assert rows_of(found, "md5", [digest(n) for n in range(1, 7)]) == {0: [0], 3: [2], 5: [3]}
    assert (found.entries, found.rejected, found.flaws) == (4, 2, 1)
    assert found.reasons[0] == "record 2: MediaFiles have different MD5; the rest of it was kept"
    assert "MD5 read from MediaFiles, for want of their own, of 2 entries" in found.notes


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.3"])
def test_a_case_of_vics_1_is_read_media_by_media(tmp_path, version):
    """Media of several cases, one of them empty; files beside a media come before its own digest, as NIST writes it."""

    def media(number):
        files = [{"Media@odata.navigationLinkUrl": "/x", "MD5": text(50), "FileName": "a"}]
        return {"odata.id": "", "MediaFiles": files, "MediaID": number, "MD5": text(number), "Category": number % 3}

    cases = [
        {"CaseID": "A", "CaseMetadata": [{"PropertyName": "MD5"}], "Media": []},
        {"CaseID": "B", "TotalMediaFiles": 999, "Media": [media(1), media(2)]},
        {"CaseID": "C", "Media": [media(3)]},
    ]
    context = f"http://github.com/ICMEC/ProjectVic/DataModels/{version}.xml#Cases"
    found = compiled(tmp_path, json.dumps({"odata.metadata": context, "value": cases}))
    assert (found.format, found.scheme, found.entries) == (f"vics-{version}", None, 3)
    assert rows_of(found, "md5", [digest(n) for n in (1, 2, 3, 50)]) == {0: [0], 1: [1], 2: [2]}
    assert any("--scheme" in note for note in found.notes)


@pytest.mark.assertion("EV-LI-05", "Records of a list that can't be read are counted and named.")
def test_records_that_can_not_be_read_are_counted_and_named(tmp_path):
    media = [
        {"MediaID": 1, "MD5": "no digest", "Category": 1},
        {"MediaID": 2, "MD5": text(2), "SHA1": "zz"},
        "no object",
        {"MediaID": 4},
        {"MediaID": 5, "MD5": text(5), "AlternativeHashes": {"not": "a list"}},
    ]
    found = compiled(tmp_path, json.dumps({"@odata.context": US + "Media", "value": media}))
    assert (found.entries, found.rejected, found.flaws) == (2, 3, 2)
    assert found.reasons == [
        "record 1: md5 is not 32 hexadecimal digits",
        "record 2: sha1 is not 40 hexadecimal digits; the rest of it was kept",
        "record 3: is no object",
        "record 4: holds no hash",
        "record 5: AlternativeHashes is no list; the rest of it was kept",
    ]


def test_names_of_fields_may_be_spelt_in_lower_case_and_numbers_may_be_absurd(tmp_path):
    records = f'{{"md5": "{text(1)}", "category": 2.0}}, {{"md5": "{text(2)}", "category": 1e999999999}}'
    found = compiled(tmp_path, f'{{"value": [{records}]}}')
    assert rows_of(found, "md5", [digest(1), digest(2)]) == {0: [0], 1: [1]}
    assert (found.category(0), found.category(1)) == ("2", "1E+999999999")


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_json_list_that_breaks_is_refused_with_the_place(tmp_path, cut):
    whole = json.dumps({"@odata.context": US + "Media", "value": [{"MediaID": n, "MD5": text(n)} for n in range(9)]})
    with pytest.raises(GeldspurError, match="after record") as error:
        compiled(tmp_path, whole[:-cut])
    assert "half a list" in str(error.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "list.any"]


def test_caid_is_vics_or_a_table_with_the_british_categories(tmp_path):
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/UK/$metadata#Media"
    found = compiled(tmp_path, json.dumps({"@odata.context": context, "value": [{"MD5": text(1), "Category": 3}]}))
    assert (found.format, found.scheme, found.category(0)) == ("vics-2.0", "UK", "3")
    (tmp_path / "caid.csv").write_text(
        f"MD5;SHA1;Category\r\n{text(1)};{text(1, 'sha1')};1\r\n;{text(2, 'sha1')};2\r\n"
    )
    table = make_list(tmp_path / "caid.csv", tmp_path / "table", format="caid")
    assert (table.format, table.scheme, table.entries, table.category(1)) == ("caid", "UK", 2, "2")
    assert table.counts == {"md5": 1, "sha1": 2, "sha256": 0, "pdq": 0}


NCMEC = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
 <images count="4" maxTimestamp="2017-10-24T15:10:00Z">
  <image><member id="42">Example Member</member><timestamp>2017-10-24T15:00:00Z</timestamp><id>image1</id>
   <classification>A1</classification>
   <fingerprints><md5>{md5}</md5><sha1>{sha1}</sha1><pdna>a1a1</pdna><pdq>{pdq}</pdq></fingerprints>
   <feedback><negativeFeedback type="Sha1"><member id="7">Other</member></negativeFeedback></feedback>
  </image>
  <image><member id="42">M</member><id>image2</id><fingerprints><pdna>aa</pdna></fingerprints></image>
  <image><member id="42">M</member><timestamp>2017-10-24T15:00:00Z</timestamp><id>gone</id>
   <fingerprints><md5>{gone}</md5></fingerprints></image>
  <image><member id="43">N</member><id>gone</id><fingerprints><md5>{kept}</md5></fingerprints></image>
  <deletedImage><member id="42">M</member><id>gone</id><timestamp>2017-10-24T15:10:00Z</timestamp></deletedImage>
 </images>
 <videos count="1" maxTimestamp="2019-11-24T15:10:00Z">
  <video><member id="101">TX</member><id>large</id><classification>B2</classification><fingerprints>
    <tmk-pdqf rel="self" href="/v2/x"/><videntifier rel="self" href="/v2/y"/><ssvh-safer-hash>00</ssvh-safer-hash>
  </fingerprints></video>
 </videos>
</queryResult>"""


def ncmec_xml():
    return NCMEC.format(
        md5=text(1), sha1=text(1, "sha1"), pdq=text(2, "sha256"), gone=text(3), kept=text(4)
    )  # fmt: skip


def test_ncmec_pages_count_what_is_withdrawn_and_what_can_not_be_compared(tmp_path):
    found = compiled(tmp_path, ncmec_xml())
    assert (found.format, found.version, found.made) == ("ncmec", "2", "2019-11-24T15:10:00Z")
    assert (found.entries, found.deleted, found.rejected) == (4, 2, 0)
    assert found.counts == {"md5": 2, "sha1": 1, "sha256": 0, "pdq": 1}
    assert found.unmatchable == {"PhotoDNA": 1, "SSVH-Safer, TMK+PDQF, Videntifier": 1}
    assert rows_of(found, "md5", [digest(1), digest(3), digest(4)]) == {0: [0], 2: [2]}
    assert [found.category(row) for row in range(4)] == ["A1", None, None, "B2"]


def test_ncmec_entries_as_json_say_the_same(tmp_path):
    entries = {
        "42-a": {"id": "a", "member_id": 42, "entry_type": "image", "deleted": False, "classification": "A1",
                 "fingerprints": {"md5": text(1), "pdna": "xx"}},
        "42-b": {"id": "b", "member_id": 42, "entry_type": "image", "deleted": True, "classification": None,
                 "fingerprints": {}},
        "42-c": {"id": "c", "member_id": 42, "entry_type": "video", "deleted": False, "classification": None,
                 "fingerprints": {"pdna": "xx"}},
    }  # fmt: skip
    for at, content in enumerate((json.dumps({"updates": entries}), json.dumps(list(entries.values())))):
        (tmp_path / str(at)).mkdir()
        found = compiled(tmp_path / str(at), content)
        assert (found.format, found.entries, found.deleted) == ("ncmec", 2, 1)
        assert rows_of(found, "md5", [digest(1)]) == {0: [0]}
        assert (found.category(0), found.unmatchable) == ("A1", {"PhotoDNA": 1})


@pytest.mark.parametrize(
    "attack",
    [
        '<!DOCTYPE queryResult [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><queryResult><images/>&b;</queryResult>',
        '<!DOCTYPE queryResult SYSTEM "file:///etc/passwd"><queryResult/>',
        '<!DOCTYPE q [<!ENTITY x SYSTEM "file:///etc/passwd">]><queryResult>&x;</queryResult>',
        "<queryResult>" + "<a>" * 100,
        "<html><body/></html>",
    ],
)
def test_xml_that_only_an_attack_needs_is_refused(tmp_path, attack):
    with pytest.raises(UsageError, match="XML"):
        compiled(tmp_path, attack)


def test_threatexchange_types_say_what_an_indicator_is(tmp_path):
    frames = json.dumps([f"{text(n, 'sha256')},{quality},{n}.000" for n, quality in ((7, 100), (8, 50), (9, 49))])
    data = [
        {
            "id": "1",
            "type": "HASH_PDQ",
            "indicator": text(1, "sha256"),
            "tags": {"data": [{"text": "b"}, {"text": "a"}]},
        },
        {"id": "2", "type": "HASH_VIDEO_MD5", "indicator": text(2), "descriptors": {"data": [{"tags": ["x"]}]}},
        {"id": "3", "type": "HASH_SHA256", "indicator": text(3, "sha256")},
        {"id": "4", "type": "HASH_TMK", "indicator": "AAAA"},
        {"id": "5", "type": "HASH_MD5", "indicator": text(5), "should_delete": False},
        {"id": "5", "type": "HASH_MD5", "indicator": text(5), "should_delete": True},
        {"id": "6", "type": "HASH_VIDEO_VPDQ", "indicator": frames},
    ]
    lines = "\n".join(json.dumps(record) for record in data)
    for at, content in enumerate((json.dumps({"data": data, "paging": {}}), lines)):
        (tmp_path / str(at)).mkdir()
        found = compiled(tmp_path / str(at), content)
        assert (found.format, found.entries, found.deleted) == ("threatexchange", 5, 2)
        assert found.counts == {"md5": 1, "sha1": 0, "sha256": 1, "pdq": 3}
        assert (found.category(0), found.category(1)) == ("a b", "x")
        assert found.unmatchable == {"TMK+PDQF": 1}
        assert list(found.pdq()[1]) == [0, 4, 4] and list(found.pdq_quality()) == [255, 100, 50]
        assert found.excluded == {"PDQ of quality below 50": 1}


def test_threatexchange_sample_lines_hold_pdq_and_not_sha256(tmp_path):
    found = compiled(
        tmp_path, f"{text(1, 'sha256')},2880742865368386,2020-07-31T18:47:52+0000,disputed media_type_photo\n" * 2
    )
    assert (found.format, found.entries) == ("threatexchange", 2)
    assert found.counts["pdq"] == 2 and found.counts["sha256"] == 0
    assert found.category(1) == "disputed media_type_photo"


@pytest.mark.parametrize(
    "write",
    [
        lambda frames: "".join(f"{n},{q},{h},{n}.000\n" for n, q, h in frames),
        lambda frames: "".join(f"{n},{q},{h}\r\n" for n, q, h in frames),
        lambda frames: json.dumps([f"{h},{q},{n}.000" for n, q, h in frames]),
        lambda frames: json.dumps({n: {"quality": q, "hash": h, "timestamp": 0.5} for n, q, h in frames}),
    ],
)
def test_a_vpdq_file_is_one_video_in_every_shape(tmp_path, write):
    frames = [(n, q, text(n, "sha256")) for n, q in enumerate((100, 20, 50, 49, 77))]
    found = compiled(tmp_path, write(frames))
    assert (found.format, found.entries, found.rejected) == ("vpdq", 1, 0)
    hashes, rows = found.pdq()
    assert [bytes(h) for h in hashes] == [digest(n, "sha256") for n in (0, 2, 4)]
    assert list(rows) == [0, 0, 0] and list(found.pdq_quality()) == [100, 50, 77]


def nsrl(path, rows, view=False):
    with sqlite3.connect(path) as db:
        table = "METADATA" if view else "FILE"
        db.execute(
            f"CREATE TABLE {table} (sha256 VARCHAR, sha1 VARCHAR, md5 VARCHAR, crc32 VARCHAR, file_name VARCHAR, "
            "file_size INTEGER, package_id INTEGER)"
        )
        db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, 'AB', ?, 1, ?)", rows)
        if view:
            db.execute("CREATE VIEW FILE AS SELECT * FROM METADATA")
        db.execute("CREATE TABLE VERSION (version VARCHAR, build_set VARCHAR, build_date TEXT, release_date TEXT)")
        db.execute("INSERT INTO VERSION VALUES ('2026.03.1', 'modern', '2026-03-01', '2026-03-15')")
    db.close()


@pytest.mark.assertion("EV-LI-06", "NSRL sets are taken for lists of known harmless files.")
@pytest.mark.parametrize("view", [False, True])
def test_nsrl_is_benign_and_counts_a_file_once(tmp_path, view):
    def row(number, package):
        return (text(number, "sha256").upper(), text(number, "sha1").upper(), text(number).upper(), "a.dll", package)

    path = tmp_path / "RDS.db"
    nsrl(path, [row(1, 1), row(1, 2), row(2, 1), row(3, 1), ("", "", "", "none", 9)], view)
    before = sorted(tmp_path.iterdir()), path.stat().st_mtime_ns
    found = make_list(path, tmp_path / "out" / "nsrl")
    assert (found.format, found.kind, found.version, found.made) == ("nsrl-rds-3", "benign", "2026.03.1", "2026-03-15")
    assert (found.entries, found.rejected, found.counts["sha256"]) == (3, 1, 3)
    assert rows_of(found, "md5", [digest(2)]) == rows_of(found, "sha1", [digest(2, "sha1")])
    (tmp_path / "out" / "nsrl").rename(tmp_path.parent / f"moved{view}")
    (tmp_path / "out").rmdir()
    assert (sorted(tmp_path.iterdir()), path.stat().st_mtime_ns) == before


def test_an_nsrl_database_with_an_open_journal_is_refused(tmp_path):
    nsrl(tmp_path / "RDS.db", [])
    (tmp_path / "RDS.db-wal").write_bytes(b"changes")
    with pytest.raises(UsageError, match="journal"):
        make_list(tmp_path / "RDS.db", tmp_path / "out")


def test_the_old_text_of_nsrl_is_benign_too(tmp_path):
    header = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"\r\n'
    rows = f'"{text(1, "sha1").upper()}","{text(1).upper()}","AB","a, b.dll",1,2,"X",""\r\n"broken\r\n'
    found = compiled(tmp_path, header + rows)
    assert (found.format, found.kind, found.entries, found.rejected) == ("nsrl-rds-2", "benign", 1, 1)
    assert found.reasons == ["line 3: its quotes don't balance"]
    assert rows_of(found, "sha1", [digest(1, "sha1")]) == {0: [0]}


PLAIN = {
    "bare": f"{text(1)}\n{text(2).upper()}\n",
    "crlf and comments": f"# made by hand\r\n\r\n{text(1)}\r\n#\r\n{text(2)}",
    "md5sum": f"{text(1)}  a\tfile, {text(3)}.mp4\n\\{text(2)} *b\\\\c.mp4\n",
    "csv without a header": f"{text(1)},{text(3)},7\n{text(2)},b,{text(3)}\n",
    "bsd": f"MD5 (a (1).mp4) = {text(1)}\nMD5 (b) = {text(2)}\n",
    "typed": f"video_md5 {text(1)}\nmd5 {text(2)}\n",
    "csv": f"name,md5\n\"a, b\",{text(1)}\nc,{text(2).upper()}\n",
    "tab": f"{text(1)}\ta\n{text(2)}\tb\n",
    "hash and type": f"hash,type\n{text(1)},md5\n{text(2)},HASH_VIDEO_MD5\n",
    "hashdeep": "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## Invoked from: /x\n## \n"
    f"3,{text(1)},{text(1, 'sha256')},/a,b\n4,{text(2)},{text(2, 'sha256')},/c\n",
}  # fmt: skip


@pytest.mark.parametrize("shape", PLAIN)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gzip"])
def test_plain_lists_in_every_shape_and_encoding(tmp_path, shape, encoding):
    content = gzip.compress(PLAIN[shape].encode()) if encoding == "gzip" else PLAIN[shape].encode(encoding)
    found = compiled(tmp_path, content)
    assert (found.entries, found.rejected, found.counts["md5"]) == (2, 0, 2)
    assert rows_of(found, "md5", [digest(1), digest(2), digest(3)]) == {0: [0], 1: [1]}
    assert found.sha256 == hashlib.sha256(content).digest()
    found.verify()


def test_64_digits_are_sha256_with_a_note_and_pdq_on_demand(tmp_path):
    content = f"{text(1, 'sha256')}\n{text(2, 'sha256')}\n"
    found = compiled(tmp_path, content)
    assert found.counts["sha256"] == 2 and any("--format pdq" in note for note in found.notes)
    as_pdq = make_list(tmp_path / "list.any", tmp_path / "pdq", format="pdq")
    assert as_pdq.counts == {"md5": 0, "sha1": 0, "sha256": 0, "pdq": 2}
    assert [bytes(h) for h in as_pdq.pdq()[0]] == [digest(1, "sha256"), digest(2, "sha256")]


def test_a_bad_line_is_told_by_its_number_and_the_rest_is_kept(tmp_path):
    lines = [text(n) for n in range(1000)]
    lines[700] = "not a digest"
    lines[800] += "0"
    lines[900] = "\\"
    found = compiled(tmp_path, "\n".join(lines))
    assert (found.entries, found.rejected) == (997, 3)
    assert [reason.split(":")[0] for reason in found.reasons] == ["line 701", "line 801", "line 901"]
    assert rows_of(found, "md5", [digest(0), digest(701), digest(999)]) == {0: [0], 1: [700], 2: [996]}


def test_a_line_without_end_is_rejected_and_the_next_one_is_read(tmp_path):
    found = compiled(tmp_path, f"{text(1)}\n{'x' * 9_000_000}\n{text(2)}\nbad\n")
    assert (found.entries, found.rejected) == (2, 2)
    assert found.reasons[0] == "line 2: longer than 1,048,576 bytes" and found.reasons[1].startswith("line 4:")
    assert rows_of(found, "md5", [digest(1), digest(2)]) == {0: [0], 1: [1]}


def test_lines_of_nothing_are_counted_across_blocks(tmp_path):
    packed = gzip.compress(f"{text(1)}\n".encode() + b"\n" * 10_000_000 + f"bad\n{text(2)}\n".encode(), 1)
    found = compiled(tmp_path, packed)
    assert (found.entries, found.rejected) == (2, 1)
    assert found.reasons[0].startswith("line 10,000,002:")


def test_hashdeep_files_may_follow_each_other_if_their_columns_agree(tmp_path):
    part = f"%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n3,{text(1)},/a\n"
    assert compiled(tmp_path, part * 2).entries == 2
    (tmp_path / "mixed").write_text(part + part.replace("md5", "sha1"))
    with pytest.raises(UsageError, match="second header"):
        make_list(tmp_path / "mixed", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"PK\x03\x04....", "packed"),
        (b"just words\nand more\n", "nothing in the file"),
        (b"\x7fELF\x00\x00\x00", "neither text nor"),
        (b'{"some": {"other": "json"}}', "no record of a hash list"),
        (gzip.compress(b"SQLite format 3\x00", mtime=0), "packed SQLite"),
        (b"%%%% HASHDEEP-1.0\n%%%% size,tiger,filename\n", "no column of"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, content, why):
    with pytest.raises(UsageError, match=why):
        compiled(tmp_path, content)


def test_a_packed_list_that_is_cut_is_refused(tmp_path):
    packed = gzip.compress("\n".join(text(n) for n in range(500)).encode())
    with pytest.raises(GeldspurError, match="to its end"):
        compiled(tmp_path, packed[:-9])


def test_commands_make_show_and_check_a_list(tmp_path):
    name = "lis\u202etxt.esrever\x1b[31m"
    (tmp_path / name).write_text(f"{text(1)}\nbroken\n")
    out = str(tmp_path / "out")
    run = CliRunner().invoke
    made = run(app, ["evidence", "lists", "make", str(tmp_path / name), "--out", out, "--kind", "benign"])
    assert made.exit_code == 0 and made.output.isascii() and "\x1b" not in made.output
    assert "1 record rejected" in made.output and "line 2: no digest" in made.output
    assert "known harmless files" in run(app, ["evidence", "lists", "show", out]).output
    shown = json.loads(run(app, ["evidence", "lists", "show", out, "--json"]).output)
    assert (shown["entries"], shown["rejected"], shown["kind"]) == (1, 1, "benign")
    assert json.loads(run(app, ["evidence", "lists", "check", out, "--json"]).output)["sound"] is True
    (tmp_path / "out" / "md5.tail").write_bytes(bytes(8))
    assert isinstance(run(app, ["evidence", "lists", "check", out]).exception, GeldspurError)


def test_a_format_that_the_content_is_not_is_refused(tmp_path):
    with pytest.raises(UsageError, match="it is XML"):
        compiled(tmp_path, ncmec_xml(), format="vics")
    with pytest.raises(UsageError, match="no format is called"):
        compiled(tmp_path, "x", format="nonsense")


@pytest.mark.parametrize(
    "content",
    [
        b'{"value":[{"Media":[{"MediaSize":' + b"9" * 5000 + b',"MD5":"a"}]}]}',
        b'{"value":[{"Media":[{"MD5":"' + text(1).encode() + b'","MediaSize":' + b"9" * (1 << 17) + b"}]}]}",
        b'{"value":[{"Media":' + b"[" * 100_000,
        b"[" * 300_000,
    ],
)
def test_json_that_is_made_to_stop_its_parser_is_refused(tmp_path, content):
    (tmp_path / "list.json").write_bytes(content)
    command = [sys.executable, "-m", "geldspur", "evidence", "lists", "make", tmp_path / "list.json"]
    done = subprocess.run(
        [*command, "--out", tmp_path / "compiled"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (1, 2) and done.stderr.startswith("error:"), done
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]
