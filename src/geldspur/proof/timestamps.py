"""Time-stamps of RFC 3161: an authority states, with its signature, that a digest existed at a time.

A request is 59 bytes that hold nothing but the digest, so it can be written, carried by hand to a machine with a
network and answered there (`openssl ts -query`, `curl`). It has no nonce, which RFC 3161 leaves to the asker: an old
answer for the same digest is an older true statement about the same bytes.

The raw response is kept, because verifiers differ. `rfc3161-client` refuses a response whose set of certificates is
not sorted as DER wants it, which openssl's own authority sends; `openssl ts` is then asked.
"""

import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from geldspur.errors import GeldspurError, UsageError

LARGEST = 1 << 20
_SEQUENCE, _INTEGER, _OID, _OCTETS, _TIME = 0x30, 0x02, 0x06, 0x04, 0x18
_SHA256 = bytes.fromhex("0609608648016503040201")
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_TST_INFO = bytes.fromhex("2a864886f70d0109100104")
_GRANTED = (b"\x00", b"\x01")


class BadTimestamp(ValueError):
    """The bytes are no granted time-stamp of a SHA-256 digest, or it does not verify; the text says why."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a response states, not yet verified: the digest (SHA-256), and the time (UTC)."""

    digest: bytes
    time: datetime


def request(digest: bytes) -> bytes:
    """A time-stamp request for a SHA-256 digest that asks for the authority's certificate (RFC 3161, 2.4.1)."""
    if len(digest) != 32:
        raise ValueError(f"a SHA-256 digest has 32 bytes, not {len(digest)}")
    imprint = _der(_SEQUENCE, _der(_SEQUENCE, _SHA256 + b"\x05\x00") + _der(_OCTETS, digest))
    return _der(_SEQUENCE, b"\x02\x01\x01" + imprint + b"\x01\x01\xff")


def read(response: bytes) -> Stamp:
    """The statement of a response; its signature is not looked at.

    Raises:
        BadTimestamp: it was not granted, or is none of a SHA-256 digest.
    """
    try:
        status, token = _children(_only(response, _SEQUENCE))[:2]
        granted = _children(status[1])[0]
        if granted[0] != _INTEGER or granted[1] not in _GRANTED:
            raise BadTimestamp(f"the authority did not grant it (status {granted[1].hex()})")
        kind, content = _children(token[1])[:2]
        signed = _children(_only(content[1], _SEQUENCE))
        inner_kind, inner = _children(signed[2][1])[:2]
        if (kind, inner_kind) != ((_OID, _SIGNED_DATA), (_OID, _TST_INFO)):
            raise BadTimestamp("it holds no time-stamp")
        info = _children(_only(_only(inner[1], _OCTETS), _SEQUENCE))
        algorithm, digest = _children(info[2][1])
        if not algorithm[1].startswith(_SHA256) or len(digest[1]) != 32:
            raise BadTimestamp("it is of another digest than SHA-256")
        if info[4][0] != _TIME:
            raise BadTimestamp("it states no time")
        return Stamp(digest[1], _time(info[4][1]))
    except (IndexError, ValueError) as error:
        if isinstance(error, BadTimestamp):
            raise
        raise BadTimestamp("it is no response of a time-stamp authority") from error


def verify(response: bytes, digest: bytes, authorities: bytes) -> tuple[Stamp, str]:
    """Verify a response over a digest against certificates (PEM, roots and those between); what stated it, by what.

    Certificates count as of the time of the stamp, not of today.

    Raises:
        BadTimestamp: the response is not what it must be, or no verifier at hand accepts it.
        GeldspurError: there is no verifier.
    """
    stamp = read(response)
    if stamp.digest != digest:
        raise BadTimestamp(f"it is of another digest, {stamp.digest.hex()}")
    refusals = []
    for verifier in (_by_client, _by_openssl):
        refusal = verifier(response, stamp, authorities)
        if refusal is None:
            return stamp, "rfc3161-client" if verifier is _by_client else "openssl ts"
        if refusal:
            refusals.append(refusal)
    if not refusals:
        raise GeldspurError(
            "there is nothing to verify a time-stamp with", todo='install openssl, or "geldspur[custody]"'
        )
    raise BadTimestamp("; ".join(refusals))


def _by_client(response: bytes, stamp: Stamp, authorities: bytes) -> str | None:
    """None: verified; empty: not installed; else why not."""
    try:
        from rfc3161_client import (  # noqa: PLC0415 - an extra that need not be there
            VerificationError,
            VerifierBuilder,
            decode_timestamp_response,
        )
    except ImportError:
        return ""
    try:
        certificates = x509.load_pem_x509_certificates(authorities)
        builder = VerifierBuilder()
        for certificate in certificates:
            rooted = certificate.issuer == certificate.subject
            add = builder.add_root_certificate if rooted else builder.add_intermediate_certificate
            builder = add(certificate)
        builder.build().verify(decode_timestamp_response(response), stamp.digest)
    except (VerificationError, ValueError) as error:
        return f"rfc3161-client: {error}"
    return None


def _by_openssl(response: bytes, stamp: Stamp, authorities: bytes) -> str | None:
    """None: verified; empty: not installed; else why not."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return ""
    with tempfile.TemporaryDirectory(prefix="geldspur-") as folder:
        tsr, pem = Path(folder) / "response.tsr", Path(folder) / "authorities.pem"
        tsr.write_bytes(response)
        pem.write_bytes(authorities)
        at = str(int(stamp.time.timestamp()))
        asked = [openssl, "ts", "-verify", "-in", str(tsr), "-digest", stamp.digest.hex()]
        asked += ["-CAfile", str(pem), "-untrusted", str(pem), "-attime", at]
        told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    if told.returncode == 0 and "Verification: OK" in told.stdout:
        return None
    reasons = [line.rsplit(":", 1)[-1] for line in told.stderr.splitlines() if ":error:" in line]
    return f"openssl ts: {reasons[-1] if reasons else 'not verified'}"


def ask(url: str, digest: bytes, *, seconds: float = 30) -> bytes:
    """The response of an authority's server (RFC 3161, 3.4). This is the one function here that uses a network.

    Raises:
        UsageError: `url` is neither http nor https.
        GeldspurError: the server can't be reached, or does not answer as an authority.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError("a time-stamp server has an http or https URL", where=url)
    asked = urllib.request.Request(  # noqa: S310
        url, data=request(digest), headers={"Content-Type": "application/timestamp-query"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=seconds) as answer:  # noqa: S310
            response: bytes = answer.read(LARGEST + 1)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise GeldspurError(
            f"the time-stamp server can't be asked: {error}",
            where=url,
            todo="carry the request by hand: geldspur evidence seal DIR --timestamp-request OUT.tsq",
        ) from error
    try:
        if read(response).digest != digest:
            raise BadTimestamp("it is of another digest")
    except BadTimestamp as error:
        raise GeldspurError(f"the server's answer is no time-stamp of the digest: {error}", where=url) from error
    return response


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def _children(content: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents of the DER values that follow each other in `content`. ValueError where they are none."""
    found, at = [], 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length == 0x80 or tag & 0x1F == 0x1F:
            raise ValueError("not DER")
        if length > 0x80:
            width = length & 0x7F
            length, at = int.from_bytes(content[at : at + width]), at + width
        if at + length > len(content):
            raise ValueError("cut off")
        found.append((tag, content[at : at + length]))
        at += length
    return found


def _only(content: bytes, tag: int) -> bytes:
    ((found, inner),) = _children(content)
    if found != tag:
        raise ValueError("another type")
    return inner


def _time(text: bytes) -> datetime:
    """A GeneralizedTime as RFC 3161 wants it: `YYYYMMDDhhmmss[.s…]Z`."""
    whole, _, fraction = text.decode("ascii").removesuffix("Z").partition(".")
    seconds = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return seconds.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else seconds
