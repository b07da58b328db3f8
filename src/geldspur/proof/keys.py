"""Ed25519 keys (RFC 8032) that say who sealed a file: made, kept and named.

A private key is a PKCS#8 PEM file of mode 0600, encrypted where a passphrase is given; its public key lies beside it
as `NAME.pub.pem` and may be given to anyone. A key's fingerprint is the SHA-256 of its 32 raw bytes, in hex: short
enough to be read out over the telephone, which is how a recipient should get it.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_public_key,
)

from geldspur.errors import UsageError

SHORTEST_PASSPHRASE = 12
_LARGEST_FILE = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class PublicKey:
    """Whom a signature is checked against."""

    def __init__(self, raw: bytes) -> None:
        """Take the 32 raw bytes; ValueError for any other number of them."""
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        self.raw = raw

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the raw key, 64 hexadecimal digits."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def pem(self) -> bytes:
        """For openssl."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def ssh(self) -> bytes:
        """One line, as in `authorized_keys`."""
        return self._key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n"

    def fits(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made the signature over exactly these bytes."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """Who signs."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same message gives the same signature."""
        return self._key.sign(message)

    def pem(self, passphrase: bytes | None) -> bytes:
        """PKCS#8, encrypted where a passphrase is given."""
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_file(private_file: Path) -> Path:
    """Where the public key of a private key's file lies."""
    return private_file.with_name(private_file.name.removesuffix(".pem") + ".pub.pem")


def make_key(file: Path, passphrase: bytes | None = None) -> PublicKey:
    """Make a key: the private one in `file`, the public one beside it. Neither is ever written over.

    Raises:
        UsageError: a file is there already, or the passphrase is shorter than `SHORTEST_PASSPHRASE`.
    """
    if passphrase is not None and len(passphrase) < SHORTEST_PASSPHRASE:
        raise UsageError(
            f"the passphrase has {len(passphrase)} bytes, at least {SHORTEST_PASSPHRASE} are asked for",
            todo="take five or more words chosen by dice",
        )
    for path in (file, public_file(file)):
        if path.exists() or path.is_symlink():
            raise UsageError("a key is never written over", where=str(path), todo="choose another name")
    key = PrivateKey(Ed25519PrivateKey.generate())
    _write_new(file, key.pem(passphrase), 0o600)
    _write_new(public_file(file), key.public.pem, 0o644)
    return key.public


def _write_new(path: Path, content: bytes, mode: int) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask says
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_private(file: Path, passphrase: Callable[[], bytes | None]) -> PrivateKey:
    """The private key of a file; `passphrase` is called only where the file is encrypted.

    Raises:
        UsageError: there is no such file, others may read it, it is no Ed25519 key, or the passphrase is missing or
            wrong.
    """
    where = str(file)
    if not file.is_file():
        raise _no_such_key(file)
    with file.open("rb") as opened:
        mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
        if mode & 0o077:
            raise UsageError(
                f"others may read this private key (mode {mode:04o})", where=where, todo=f"chmod 600 {file}"
            )
        pem = opened.read(_LARGEST_FILE)
    secret = None
    if b"ENCRYPTED" in pem:
        secret = passphrase()
        if not secret:
            raise UsageError("this key needs its passphrase", where=where, todo="name --passphrase-file FILE")
    try:
        key = load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "the passphrase is wrong, or the file is damaged" if secret else "this is no private key in PEM"
        raise UsageError(
            what, where=where, todo="give the right passphrase, or the file that `geldspur keys make` wrote"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("this is no Ed25519 key", where=where, todo="make one with: geldspur keys make NAME")
    return PrivateKey(key)


def _no_such_key(file: Path) -> UsageError:
    return UsageError("there is no such key", where=str(file), todo="make one with: geldspur keys make NAME")


def read_public(file: Path) -> PublicKey:
    """The public key of a file: PEM, or one line as SSH has it.

    Raises:
        UsageError: it is neither, or of another kind than Ed25519.
    """
    with file.open("rb") as opened:
        content = opened.read(_LARGEST_FILE)
    if b"PRIVATE KEY" in content:
        raise UsageError("this is a private key", where=str(file), todo="name the public one (.pub.pem); keep this one")
    load = load_ssh_public_key if content.startswith(b"ssh-") else load_pem_public_key
    try:
        key = load(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(
            "this is no public key in PEM or SSH form", where=str(file), todo="give what `geldspur keys export` wrote"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("this is no Ed25519 key", where=str(file), todo="give what `geldspur keys export` wrote")
    return PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def key_folder() -> Path:
    """Where keys that are called by a name lie: `$XDG_DATA_HOME/geldspur/keys`."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "geldspur" / "keys"


def named_file(name: str) -> Path:
    """Where the private key of this name lies or is to lie.

    Raises:
        UsageError: the name is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!a} can't be a key's name", todo="take letters, digits, '.', '_' and '-'; for a file: --out FILE"
        )
    return key_folder() / f"{name}.pem"


def find_private(name: str) -> Path:
    """The private key's file: the path itself where it is one, else that of a named key."""
    path = Path(name)
    return path if "/" in name or path.exists() else named_file(name)


def find_public(name: str) -> PublicKey:
    """The public key of a file, of the file beside a private one, or of a named key.

    Raises:
        UsageError: there is none.
    """
    path = find_private(name)
    beside = public_file(path)
    if not path.name.endswith(".pub.pem") and beside.is_file():
        return read_public(beside)
    if not path.is_file():
        raise _no_such_key(path)
    return read_public(path)
