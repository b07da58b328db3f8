"""A scan's head is stamped by hand or by a server, and `verify` says what the stamps show."""

import json
import shutil

import pytest
from custody_scan import make_scan, make_source
from typer.testing import CliRunner

from geldspur.cli.app import app
from geldspur.errors import UsageError
from geldspur.proof.timestamps import request
from time_authority import Authority

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


@pytest.fixture
def scan(tmp_path):
    return make_scan(tmp_path / "scan", make_source(tmp_path / "source"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def run(*arguments, code=0) -> str:
    result = CliRunner().invoke(app, ["evidence", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout


def timestamps_of(scan, *more, code=0) -> tuple[str, str]:
    told = json.loads(run("verify", scan, "--json", *more, code=code))
    assert told["verified"] == (code == 0)
    return next((check["state"], check["words"]) for check in told["checks"] if check["name"] == "timestamps")


def test_a_request_after_a_signature_says_that_the_signature_stands(scan, tmp_path):
    key, secret = tmp_path / "key.pem", tmp_path / "secret"
    secret.write_text("correct horse battery staple\n")
    made = CliRunner().invoke(app, ["keys", "make", "--out", str(key), "--passphrase-file", str(secret)])
    assert made.exit_code == 0, made.output
    assert "not signed" in run("seal", scan)
    assert "signed by" in run("seal", scan, "--key", key, "--passphrase-file", secret)
    told = run("seal", scan, "--timestamp-request", tmp_path / "out.tsq")
    assert "the signature that it has stands" in told
    assert "not signed" not in told


def test_a_request_is_carried_out_and_the_answer_back(scan, authority, tmp_path):
    run("seal", scan, "--timestamp-request", tmp_path / "out.tsq")
    (tmp_path / "in.tsr").write_bytes(authority.answer((tmp_path / "out.tsq").read_bytes(), unsorted=True))
    sealed = (scan / "manifest.json").read_bytes()
    run("seal", scan, "--timestamp-response", tmp_path / "in.tsr")
    run("seal", scan, "--timestamp-response", tmp_path / "in.tsr")
    assert (scan / "manifest.json").read_bytes() == sealed
    assert len(list((scan / "timestamps").iterdir())) == 1
    assert timestamps_of(scan)[0] == "not checked"
    (tmp_path / "ca.pem").write_bytes(authority.certificates)
    state, words = timestamps_of(scan, "--timestamp-ca", tmp_path / "ca.pem")
    assert state == "ok" and "(verified by openssl ts)" in words


@pytest.mark.parametrize("place", ["source/x.tsq", "bound/x.tsq", "scan/x.tsq", "scan/scan.sqlite", "notes.txt"])
def test_a_request_is_written_neither_into_the_source_nor_over_something_else(scan, tmp_path, place):
    (tmp_path / "bound").symlink_to(tmp_path / "source")
    (tmp_path / "notes.txt").write_text("notes")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = CliRunner().invoke(app, ["evidence", "seal", str(scan), "--timestamp-request", str(tmp_path / place)])
    assert isinstance(result.exception, UsageError)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.assertion("EV-CU-09", "A lost or changed time stamp is found.")
def test_a_server_answers_at_once_and_a_lost_or_changed_stamp_is_found(scan, authority, tmp_path):
    with authority.serving() as url:
        run("seal", scan, "--timestamp-url", url)
    (tmp_path / "ca.pem").write_bytes(authority.certificates)
    assert timestamps_of(scan, "--timestamp-ca", tmp_path / "ca.pem")[0] == "ok"
    (kept,) = (scan / "timestamps").iterdir()
    raw = kept.read_bytes()
    kept.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert timestamps_of(scan, code=1)[0] == "failed"
    kept.unlink()
    assert timestamps_of(scan, code=1)[0] == "failed"


def test_a_stamp_of_something_else_is_not_kept(scan, authority, tmp_path):
    (tmp_path / "in.tsr").write_bytes(authority.answer(request(bytes(32))))
    result = CliRunner().invoke(app, ["evidence", "seal", str(scan), "--timestamp-response", str(tmp_path / "in.tsr")])
    assert isinstance(result.exception, UsageError) and "no record of this scan" in result.exception.what
    assert not (scan / "timestamps").exists()
