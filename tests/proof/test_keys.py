"""Keys are made once, kept private, and their signatures can be checked without Geldspur."""

import json
import os
import shutil
import subprocess

import pytest

from geldspur.errors import UsageError
from geldspur.proof import signing
from geldspur.proof.keys import make_key, public_file, read_private, read_public

MANIFEST = b'{\n "rows": 7\n}\n'


@pytest.fixture
def key_file(tmp_path):
    make_key(tmp_path / "examiner.pem")
    return tmp_path / "examiner.pem"


def private(file):
    return read_private(file, lambda: None)


def test_the_private_file_is_the_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        make_key(tmp_path / "a.pem")
    finally:
        os.umask(before)
    assert (tmp_path / "a.pem").stat().st_mode & 0o777 == 0o600
    assert public_file(tmp_path / "a.pem").name == "a.pub.pem"


def test_no_key_is_ever_written_over(key_file, tmp_path):
    old = key_file.read_bytes()
    with pytest.raises(UsageError, match="never written over"):
        make_key(key_file)
    assert key_file.read_bytes() == old
    (tmp_path / "b.pub.pem").write_text("somebody's")
    with pytest.raises(UsageError, match="never written over"):
        make_key(tmp_path / "b.pem")
    assert not (tmp_path / "b.pem").exists()


def test_a_private_key_that_others_may_read_is_refused(key_file):
    key_file.chmod(0o640)
    with pytest.raises(UsageError, match="others may read"):
        private(key_file)


def test_a_passphrase_is_needed_again_and_a_short_one_is_refused(tmp_path):
    file = tmp_path / "k.pem"
    with pytest.raises(UsageError, match="at least 12"):
        make_key(file, b"short")
    made = make_key(file, b"five words thrown by dice")
    assert b"ENCRYPTED" in file.read_bytes()
    assert read_private(file, lambda: b"five words thrown by dice").public.raw == made.raw
    with pytest.raises(UsageError, match="needs its passphrase"):
        private(file)
    with pytest.raises(UsageError, match="passphrase is wrong"):
        read_private(file, lambda: b"five words thrown by mice")


def test_both_public_forms_name_the_same_key_and_a_private_one_is_not_taken_for_it(key_file, tmp_path):
    key = private(key_file).public
    (tmp_path / "k.ssh").write_bytes(key.ssh)
    assert read_public(tmp_path / "k.ssh").fingerprint == read_public(public_file(key_file)).fingerprint
    with pytest.raises(UsageError, match="this is a private key"):
        read_public(key_file)


def test_ssh_keygen_reads_the_public_line(key_file, tmp_path):
    if not shutil.which("ssh-keygen"):
        pytest.skip("needs ssh-keygen")
    (tmp_path / "k.ssh").write_bytes(private(key_file).public.ssh)
    told = subprocess.run(["ssh-keygen", "-lf", tmp_path / "k.ssh"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("256 SHA256:") and "ED25519" in told.stdout


def test_a_signature_fits_its_bytes_its_purpose_and_its_key_only(key_file, tmp_path):
    key = private(key_file)
    signature = signing.sign(MANIFEST, signing.EVIDENCE, key)
    assert signing.sign(MANIFEST, signing.EVIDENCE, key) == signature
    found = signing.check(MANIFEST, signature, signing.EVIDENCE)
    assert found is not None and found.fingerprint == key.public.fingerprint
    for place in range(len(MANIFEST)):
        changed = MANIFEST[:place] + bytes([MANIFEST[place] ^ 1]) + MANIFEST[place + 1 :]
        assert signing.check(changed, signature, signing.EVIDENCE) is None
    assert signing.check(MANIFEST, signature, "package manifest") is None
    renamed = signature.replace(b"evidence manifest", b"package manifest")
    assert signing.check(MANIFEST, renamed, "package manifest") is None
    other = make_key(tmp_path / "other.pem")
    fields = json.loads(signature) | {"public_key": other.raw.hex(), "fingerprint": other.fingerprint}
    assert signing.check(MANIFEST, json.dumps(fields).encode(), signing.EVIDENCE) is None


@pytest.mark.parametrize(
    "bad",
    [b"", b"[]", b"{}", b"[" * 100_000, b'{"format": 1}', b"\xff"],
)
def test_what_is_no_signature_is_said_to_be_none(bad):
    with pytest.raises(signing.NotASignature):
        signing.check(MANIFEST, bad, signing.EVIDENCE)


def test_openssl_alone_checks_a_signature(key_file, tmp_path):
    """The lines of docs/custody.md."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    (tmp_path / "manifest.json").write_bytes(MANIFEST)
    (tmp_path / "manifest.json.sig").write_bytes(signing.sign(MANIFEST, signing.EVIDENCE, private(key_file)))
    script = """
    field() { sed -n "s/^ \\"$1\\": \\"\\(.*\\)\\",*$/\\1/p" manifest.json.sig; }
    { printf '%s\\n' "$(field format)" "$(field purpose)" "$(field fingerprint)"; cat manifest.json; } > signed
    field signature | tr a-f A-F | basenc --base16 -d > signature
    openssl pkeyutl -verify -pubin -inkey examiner.pub.pem -rawin -in signed -sigfile signature
    """
    good = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout.strip()) == (0, "Signature Verified Successfully"), good.stderr
    (tmp_path / "manifest.json").write_bytes(MANIFEST.replace(b"7", b"8"))
    assert subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=False).returncode == 1
