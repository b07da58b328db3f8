"""Commands on keys: who seals, and what others check a seal with."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, note, say, show_json
from geldspur.errors import UsageError

app = typer.Typer(
    help="Make and show the Ed25519 keys that sign what goes out.",
    epilog="Example: geldspur keys make examiner",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Named = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A key's name, or a file that holds one.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its first line is the passphrase; else it is asked for."),
]


def passphrase_from(file: Path | None, *, twice: bool = False) -> bytes | None:
    """The passphrase from a file or from the person at the terminal; None for none."""
    if file is not None:
        text = file.read_bytes().split(b"\n", 1)[0].removesuffix(b"\r")
        if not text:
            raise UsageError("the first line is empty", where=str(file), todo="write the passphrase into it")
        return text
    if not sys.stdin.isatty():
        return None
    from getpass import getpass

    if not twice:
        return getpass("passphrase: ").encode() or None
    first = getpass("passphrase (empty: the key lies open): ")
    if first and getpass("the same again: ") != first:
        raise UsageError("the two passphrases differ", todo="try again")
    return first.encode() or None


@app.command(epilog="Example: geldspur keys make examiner --passphrase-file secret.txt")
def make(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Kept as NAME in your own key folder.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Or the private key's file.")] = None,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a key pair: the private one for you alone (mode 0600), the public one to give away. Nothing is replaced."""
    from geldspur.proof.keys import make_key, named_file, public_file

    if (name is None) == (out is None):
        raise UsageError("name the key, or give --out FILE", todo="geldspur keys make NAME")
    if out is None:
        out = named_file(name or "")
        out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = passphrase_from(passphrase_file, twice=True)
    key = make_key(out, secret)
    if secret is None:
        note("the private key is not encrypted; whoever can read the file can sign")
    if as_json:
        show_json({"private": str(out), "public": str(public_file(out)), "fingerprint": key.fingerprint})
        return
    say(f"private key {out}: keep it, and a copy in a safe\npublic key  {public_file(out)}: give it away")
    say(f"fingerprint {key.fingerprint}: tell it by another way than the files")


@app.command(epilog="Example: geldspur keys show examiner")
def show(key: Named, as_json: Json = False) -> None:
    """Show a key's fingerprint, and its public part in both forms."""
    from geldspur.proof.keys import find_public

    public = find_public(key)
    if as_json:
        show_json({"fingerprint": public.fingerprint, "ssh": public.ssh.decode(), "pem": public.pem.decode()})
        return
    say(f"fingerprint {public.fingerprint}\n{public.ssh.decode()}{public.pem.decode()}".rstrip())


@app.command(epilog="Example: geldspur keys export examiner --out examiner.pub.pem")
def export(
    key: Named,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the public key goes.")],
    ssh: Annotated[bool, typer.Option("--ssh", help="As one line for SSH, and not as PEM.")] = False,
    as_json: Json = False,
) -> None:
    """Write the public part of a key for somebody else."""
    from geldspur.proof.keys import find_public

    public = find_public(key)
    if out.exists() or out.is_symlink():
        raise UsageError("the file is there already", where=str(out), todo="choose another name")
    out.write_bytes(public.ssh if ssh else public.pem)
    if as_json:
        show_json({"file": str(out), "fingerprint": public.fingerprint})
    else:
        say(f"{out}: fingerprint {public.fingerprint}")
