"""Commands of `geldspur evidence` about custody: seal a scan, and verify that it is still what was scanned."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.keys import PassphraseFile, passphrase_from
from geldspur.cli.output import Json, say, show_json
from geldspur.errors import GeldspurError

ScanDir = Annotated[Path, typer.Argument(metavar="DIR", help="A scan directory.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: geldspur evidence seal scan --key examiner")(seal)
    app.command(epilog="Example: geldspur evidence verify scan --key examiner.pub.pem")(verify)


def seal(
    folder: ScanDir,
    key: Annotated[str | None, typer.Option("--key", metavar="NAME|FILE", help="Sign with this private key.")] = None,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Bind a scan's rows and log by a manifest, and sign it."""
    from geldspur.evidence.custody import seal as seal_scan
    from geldspur.evidence.store import open_to_write
    from geldspur.proof.keys import find_private, read_private

    signer = read_private(find_private(key), lambda: passphrase_from(passphrase_file)) if key else None
    with open_to_write(folder) as store:
        sealed = seal_scan(store, signer)
    if as_json:
        show_json(sealed)
        return
    say(f"sealed up to record {sealed.seq:,} of the log, hash {sealed.head}")
    say(f"manifest.json, SHA-256 {sealed.manifest_sha256}")
    say(
        f"signed by {sealed.fingerprint}" if sealed.fingerprint else "not signed: geldspur evidence seal DIR --key NAME"
    )


def verify(
    folder: ScanDir,
    key: Annotated[
        str | None, typer.Option("--key", metavar="NAME|FILE", help="The public key that must have signed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a scan against its log and its seal, and its files against the source. Nothing is written."""
    from geldspur.evidence.custody import verify as verify_scan
    from geldspur.proof.keys import find_public

    verdict = verify_scan(folder, key=find_public(key) if key else None)
    failed = verdict.first_failed
    if as_json:
        show_json({"verified": failed is None, "checks": [asdict(check) for check in verdict.checks]})
    else:
        for check in verdict.checks:
            say(f"{check.state:11}  {check.name:12}  {check.words}")
    if failed is not None:
        if as_json:
            raise typer.Exit(1)
        raise GeldspurError(f"{failed.name}: {failed.words}", where=str(folder), todo="see docs/custody.md")
