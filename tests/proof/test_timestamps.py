"""Time-stamps are asked for, kept and verified, by hand or by a server, and a false one is refused."""

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geldspur.errors import GeldspurError
from geldspur.proof import timestamps
from time_authority import Authority

DIGEST = hashlib.sha256(b"the head of a log").digest()
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def response(authority):
    return authority.answer(timestamps.request(DIGEST))


def test_the_request_is_the_one_that_openssl_writes(tmp_path):
    asked = ["openssl", "ts", "-query", "-digest", DIGEST.hex(), "-sha256", "-cert", "-no_nonce", "-out", "q.tsq"]
    subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True)
    assert timestamps.request(DIGEST) == (tmp_path / "q.tsq").read_bytes()


def test_a_response_verifies_over_its_digest_and_its_authority_only(authority, response, tmp_path):
    stamp, by = timestamps.verify(response, DIGEST, authority.certificates)
    assert by == "rfc3161-client"
    assert stamp == timestamps.read(response)
    with pytest.raises(timestamps.BadTimestamp, match="of another digest"):
        timestamps.verify(response, hashlib.sha256(b"other").digest(), authority.certificates)
    with pytest.raises(timestamps.BadTimestamp, match=r"rfc3161-client: .*; openssl ts: "):
        timestamps.verify(response, DIGEST, Authority(tmp_path).certificates)


def test_openssl_verifies_what_the_client_refuses_for_its_order(authority):
    unsorted = authority.answer(timestamps.request(DIGEST), unsorted=True)
    assert timestamps.verify(unsorted, DIGEST, authority.certificates)[1] == "openssl ts"


def test_a_changed_byte_of_what_is_stated_or_signed_is_refused(authority, response):
    stated = response.index(DIGEST)
    for place in (stated - 20, stated, stated + 31, stated + 40, len(response) - 3):
        changed = response[:place] + bytes([response[place] ^ 1]) + response[place + 1 :]
        with pytest.raises(timestamps.BadTimestamp):
            timestamps.verify(changed, DIGEST, authority.certificates)


@given(st.data())
def test_any_bytes_are_read_or_refused(response, data):
    raw = bytearray(response[: data.draw(st.integers(0, len(response)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        timestamps.read(bytes(raw))
    except timestamps.BadTimestamp:
        return


def test_a_server_is_asked_only_where_one_is_named_and_its_answer_must_fit(authority):
    with authority.serving() as url:
        assert timestamps.read(timestamps.ask(url, DIGEST)).digest == DIGEST
    with pytest.raises(GeldspurError, match="can't be asked") as error:
        timestamps.ask(url, DIGEST, seconds=2)
    assert "--timestamp-request" in error.value.todo
    with pytest.raises(GeldspurError, match="http or https"):
        timestamps.ask("file:///etc/passwd", DIGEST)
