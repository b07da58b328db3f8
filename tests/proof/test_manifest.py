"""Manifests: the same files give the same bytes, and any change is noticed."""

import json

import pytest

from geldspur.errors import GeldspurError
from geldspur.proof import manifest

FILES = {"b/two.txt": b"2", "a.txt": b"one", "é.txt": b""}


def entries(files):
    return [manifest.digest(path, content) for path, content in files.items()]


def test_the_order_in_which_files_are_given_does_not_matter():
    turned = dict(reversed(FILES.items()))
    assert manifest.build({"format": "x/1"}, entries(FILES)) == manifest.build({"format": "x/1"}, entries(turned))


def test_what_was_built_is_read_back():
    raw = manifest.build({"format": "x/1", "n": 3}, entries(FILES))
    fields, listed = manifest.read(raw)
    assert fields == {"format": "x/1", "n": 3}
    assert listed == sorted(entries(FILES))
    assert json.loads(raw)["files"][0] == {
        "path": "a.txt",
        "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        "size": 3,
    }


def test_every_changed_byte_is_noticed():
    raw = manifest.build({"format": "x/1"}, entries(FILES))
    for at in range(len(raw)):
        with pytest.raises(ValueError):
            manifest.read(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"files": []}', b"\xff"])
def test_other_json_is_no_manifest(raw):
    with pytest.raises(ValueError):
        manifest.read(raw)


def test_missing_added_and_changed_files_are_told_apart():
    raw = manifest.build({}, entries(FILES))
    assert manifest.check(raw, FILES | {"manifest.json": raw}) == []
    found = {"a.txt": b"One", "é.txt": b"", "new": b""}
    assert manifest.check(raw, found) == ["b/two.txt is missing", "new is not listed", "a.txt was changed"]


def test_files_on_disk_are_compared_with_their_entries(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one")
    listed = entries({"a.txt": b"one"})
    manifest.check_files(tmp_path, listed, todo="make it again")
    assert manifest.digest_file(tmp_path, "a.txt") == listed[0]

    (tmp_path / "a.txt").write_bytes(b"two")
    with pytest.raises(GeldspurError, match=r"a\.txt is not the file that the manifest describes"):
        manifest.check_files(tmp_path, listed, todo="make it again")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(GeldspurError, match=r"can't read a\.txt"):
        manifest.check_files(tmp_path, listed, todo="make it again")
