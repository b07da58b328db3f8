"""Commands of `geldspur evidence` about custody: seal a scan, and verify that it is still what was scanned."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geldspur.cli.keys import PassphraseFile, passphrase_from
from geldspur.cli.output import Json, ScanDir, progress, say, show_json
from geldspur.errors import GeldspurError, UsageError

if TYPE_CHECKING:
    from geldspur.evidence.custody import Sealed, Verdict


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: geldspur evidence seal scan --key examiner")(seal)
    app.command(epilog="Example: geldspur evidence verify scan --key examiner.pub.pem")(verify)


def seal(
    folder: ScanDir,
    key: Annotated[str | None, typer.Option("--key", metavar="NAME|FILE", help="Sign with this private key.")] = None,
    passphrase_file: PassphraseFile = None,
    timestamp_request: Annotated[
        Path | None,
        typer.Option(
            "--timestamp-request", metavar="OUT.tsq", help="Write a time-stamp request, to be carried by hand."
        ),
    ] = None,
    timestamp_response: Annotated[
        Path | None, typer.Option("--timestamp-response", metavar="FILE.tsr", help="Keep the answer to such a request.")
    ] = None,
    timestamp_url: Annotated[
        str | None, typer.Option("--timestamp-url", metavar="URL", help="Ask this server for a time-stamp (network).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bind a scan's rows and log by a manifest, sign it, and have it time-stamped."""
    from geldspur.evidence.custody import seal as seal_scan
    from geldspur.evidence.custody import stamps
    from geldspur.evidence.custody.seal import is_signed
    from geldspur.evidence.outputs import check_request
    from geldspur.evidence.store import open_to_write
    from geldspur.proof import timestamps
    from geldspur.proof.keys import find_private, read_private

    signer = read_private(find_private(key), lambda: passphrase_from(passphrase_file)) if key else None
    only_keep = timestamp_response is not None and not (key or timestamp_request or timestamp_url)
    with open_to_write(folder) as store:
        if timestamp_request:
            check_request(timestamp_request, folder, store.about())
        sealed = None if only_keep else seal_scan(store, signer)
        responses = [timestamp_response.read_bytes()] if timestamp_response else []
        if sealed and timestamp_url:
            responses.append(timestamps.ask(timestamp_url, bytes.fromhex(sealed.head)))
        kept = [stamps.keep(store, response) for response in responses]
    if sealed and timestamp_request:
        timestamp_request.write_bytes(timestamps.request(bytes.fromhex(sealed.head)))
    stamped = [(seq, stamps.utc(stamp)) for seq, stamp in kept]
    if as_json:
        told = [{"record": seq, "states": time} for seq, time in stamped]
        show_json((asdict(sealed) if sealed else {}) | {"timestamps": told})
    else:
        _show_sealed(sealed, stamped, timestamp_request, kept_signature=is_signed(folder))


def _show_sealed(
    sealed: "Sealed | None", stamped: Sequence[tuple[int, str]], request: Path | None, *, kept_signature: bool
) -> None:
    if sealed:
        say(f"sealed up to record {sealed.seq:,} of the log, hash {sealed.head}")
        say(f"manifest.json, SHA-256 {sealed.manifest_sha256}")
        if sealed.signed_by:
            say(f"signed by {sealed.signed_by}")
        elif kept_signature:
            say("nothing has changed: the signature that it has stands")
        else:
            say("not signed: geldspur evidence seal DIR --key NAME")
    for seq, time in stamped:
        say(f"time-stamp of record {seq:,} kept: it states {time}, which `evidence verify` checks")
    if request:
        say(f"{request}: a request for this hash; bring the answer back with --timestamp-response FILE.tsr")


def verify(
    folder: ScanDir,
    key: Annotated[
        str | None, typer.Option("--key", metavar="NAME|FILE", help="The public key that must have signed.")
    ] = None,
    timestamp_ca: Annotated[
        Path | None,
        typer.Option("--timestamp-ca", metavar="FILE.pem", help="Certificates of the time-stamp authority."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--source", metavar="PATH", help="Read files of the source again.")
    ] = None,
    sample: Annotated[
        str, typer.Option("--sample", metavar="SHARE", help="How many of them: a share chosen by chance.")
    ] = "5%",
    all_files: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Draw the sample that an earlier run printed.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Check a report that was made of the scan.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a scan against its log and its seal, and its files against the source. Nothing is written."""
    import secrets

    from geldspur.evidence.custody import Against, Sample
    from geldspur.evidence.custody import verify as verify_scan
    from geldspur.proof.keys import find_public

    if source is None and (all_files or seed is not None):
        raise UsageError("--all and --seed say which files of the source to read again", todo="add --source PATH")
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    against = Against(
        key=find_public(key) if key else None,
        authorities=timestamp_ca.read_bytes() if timestamp_ca else None,
        source=source,
        sample=Sample(1, seed) if all_files else Sample.parse(sample, seed),
        report=report,
    )
    _show_verdict(verify_scan(folder, against, progress(as_json)), folder, as_json)


def _show_verdict(verdict: "Verdict", folder: Path, as_json: bool) -> None:
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
