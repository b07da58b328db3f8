"""Leads directories: written as a whole or not at all, read back only if nothing was changed."""

import json
import random
import re
import shutil
from dataclasses import replace

import pytest

from geldspur.errors import GeldspurError, UsageError
from geldspur.leads.files import check_target, read_leads_dir, row_bytes, write_leads_dir
from geldspur.leads.schema import Lead
from geldspur.proof.manifest import digest


@pytest.fixture
def write(embedded, tmp_path):
    """Writes the embedded case's rows, some of them changed, to a directory of the given name."""

    def make(name="leads", others=None, **changes):
        ledger = embedded.ledger
        return write_leads_dir(
            replace(embedded.leads, **changes),
            tmp_path / name,
            position=lambda txid: ledger.tx_position(ledger.tx_index(txid)),
            others=others,
        )

    return make


def test_rows_stand_in_ledger_order_whatever_order_they_come_in(embedded, write, tmp_path):
    shuffled = list(embedded.leads.leads)
    random.Random(1).shuffle(shuffled)
    assert shuffled != list(embedded.leads.leads)
    written = write(leads=shuffled)

    ledger = embedded.ledger
    places = [
        (lead.payment.height, ledger.tx_position(ledger.tx_index(lead.payment.txid)), lead.payment.vout)
        for lead in written.leads
    ]
    assert places == sorted(places)
    assert (tmp_path / "leads/leads.jsonl").read_bytes() == (embedded.folder / "leads/leads.jsonl").read_bytes()


def test_a_row_is_one_compact_line_with_keys_in_the_schemas_order(embedded, tmp_path):
    lead = embedded.leads.leads[0]
    lead = lead.model_copy(update={"site": lead.site.model_copy(update={"columns": {"name": "Jürgen\n日本"}})})
    raw = row_bytes(lead)

    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    assert "Jürgen\\n日本".encode() in raw
    assert raw == json.dumps(json.loads(raw), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    assert list(json.loads(raw)) == list(Lead.model_fields)
    assert Lead.model_validate_json(raw) == lead


def test_what_was_written_is_read_back(write, tmp_path):
    written = write()
    assert read_leads_dir(tmp_path / "leads") == written


def test_further_files_are_listed_with_the_others(write, tmp_path):
    write(others={"wallets.csv": lambda data, path: path.write_text(f"{len(data.leads)}\n")})
    manifest = json.loads((tmp_path / "leads/manifest.json").read_bytes())
    listed = {entry["path"] for entry in manifest["files"]}
    assert listed == {path.name for path in (tmp_path / "leads").iterdir()} - {"manifest.json"}
    assert "wallets.csv" in listed


def test_a_failure_half_way_leaves_what_was_there(write, tmp_path):
    write()
    before = {path.name: path.read_bytes() for path in (tmp_path / "leads").iterdir()}

    def full(data, path):
        raise OSError(28, "No space left on device")

    with pytest.raises(GeldspurError, match="No space left"):
        write(leads=[], others={"wallets.csv": full})
    assert {path.name: path.read_bytes() for path in (tmp_path / "leads").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["leads"]


def test_an_earlier_leads_directory_is_replaced_as_a_whole(write, tmp_path):
    write(others={"old.csv": lambda data, path: path.write_text("x")})
    write(leads=[])
    assert not (tmp_path / "leads/old.csv").exists()
    assert (tmp_path / "leads/leads.jsonl").read_bytes() == b""


@pytest.mark.parametrize("spoil", ["notes.txt", "sub/notes.txt"])
def test_files_of_others_are_never_swept_away(write, tmp_path, spoil):
    write()
    path = tmp_path / "leads" / spoil
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UsageError, match=re.escape(spoil)):
        write()
    assert path.read_text() == "mine"


def test_other_directories_and_files_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/manifest.json").write_text('{"format": "geldspur-ledger"}')
    for name in ("file", "folder"):
        with pytest.raises(UsageError, match="something else than an earlier leads directory"):
            check_target(tmp_path / name)
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty")
    check_target(tmp_path / "new")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("leads.jsonl", lambda raw: raw + b"\n", "is not the file that the manifest describes"),
        ("coverage.json", lambda raw: raw[:-1], "is not the file that the manifest describes"),
        ("manifest.json", lambda raw: b"", "not the manifest of a leads directory"),
        ("manifest.json", lambda raw: b"\xff", "not the manifest of a leads directory"),
        ("manifest.json", lambda raw: raw.replace(b"geldspur-leads/1", b"geldspur-leads/2"), "not the manifest"),
        (
            "manifest.json",
            lambda raw: raw.replace(b'"program"', b'"programme"'),
            "not as this version writes it: program",
        ),
        ("manifest.json", lambda raw: raw.replace(b"coverage.json", b"coverage.jso"), "lists no coverage.json"),
    ],
)
def test_a_changed_directory_is_refused(embedded, tmp_path, name, change, said):
    folder = shutil.copytree(embedded.folder / "leads", tmp_path / "leads")
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with pytest.raises(GeldspurError, match=re.escape(said)) as caught:
        read_leads_dir(folder)
    assert name in (caught.value.where or "")
    assert caught.value.todo


def test_a_directory_that_is_no_leads_directory_is_named(tmp_path):
    with pytest.raises(GeldspurError, match="no leads directory") as caught:
        read_leads_dir(tmp_path)
    assert "geldspur leads --out" in (caught.value.todo or "")


def test_a_row_of_another_version_is_told_by_file_and_line(embedded, write, tmp_path):
    write()
    folder = tmp_path / "leads"
    lines = (folder / "leads.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"hops":', b'"jumps":')
    content = b"".join(lines)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    entry = digest("leads.jsonl", content)
    for file in manifest["files"]:
        if file["path"] == "leads.jsonl":
            file |= {"sha256": entry.sha256, "size": entry.size}
    (folder / "leads.jsonl").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(GeldspurError, match="not as this version writes it") as caught:
        read_leads_dir(folder)
    assert caught.value.where == f"{folder / 'leads.jsonl'}, line 3"
