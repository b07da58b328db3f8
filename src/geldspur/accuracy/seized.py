"""The evidence room's whole way on a made tree: scan, match, report, timeline, verify, compared with what was made."""

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from geldspur.accuracy.steps import Clock, make_room
from geldspur.evidence.custody import Against, Sample, verify
from geldspur.evidence.lists import make_list
from geldspur.evidence.matching import spikes
from geldspur.evidence.matching.compare import match
from geldspur.evidence.media.keyframes import fingerprint
from geldspur.evidence.report import write_report
from geldspur.evidence.scan.pipeline import scan
from geldspur.evidence.store import open_to_write
from geldspur.evidence.timeline import write_timeline
from geldspur.leads import read_leads_dir
from geldspur.progress import SILENT, Progress

_MARK = ".geldspur-evidence-demo"
_FOLDERS = ("seized", "lists", "scan", "report", "timeline")
_SEED = 2019
_FIRST_NS, _STEP_NS = (
    1_546_300_800 * 10**9,
    86_400 * 10**9,
)  # from 2019-01-01 UTC, a day apart, where no leads are given

_EXPECTED = {
    "files.found": 13,
    "files.hashed": 12,
    "files.skipped": 1,
    "files.members": 3,
    "files.hard_links": 1,
    "files.empty": 1,
    "contents.unique": 9,
    "videos.unique": 5,
    "contents.identical": 1,
    "contents.near": 3,
    "videos.unknown": 1,
}

_SAID = (
    "files.found", "files.hashed", "files.unreadable", "files.skipped",
    "contents.unique", "contents.identical", "contents.near", "videos.unknown",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EvidenceDemo:
    """What came out: figures of the report by name, what was to be expected of some, and the checks of `verify`."""

    out: Path
    figures: dict[str, int]
    expected: dict[str, int]
    checks: dict[str, str]
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """All that was made came out, and the scan verifies."""
        right = all(self.figures.get(name) == value for name, value in self.expected.items())
        return right and "failed" not in self.checks.values()


def run_evidence_demo(
    out: Path, leads: Path | None = None, progress: Progress = SILENT, console: Console | None = None
) -> EvidenceDemo:
    """Make a tree of synthetic clips under `out`, and run the evidence room on it as an examiner would.

    `leads`: a leads directory, whose payments the files' times are laid beside. Raises UsageError for an `out` that
    holds something else.
    """
    console = console or Console(quiet=True)
    clock = Clock(console)
    make_room(out, _MARK, _FOLDERS)
    console.print(Text("A made tree of synthetic clips; nothing in it shows anybody or anything.", style="dim"))
    with clock.step("made", "clips, edits of them, copies, archives, and lists that know some of them"):
        lists = _make(out / "seized", out / "lists")
        _set_times(out / "seized", leads)
    with clock.step("scan", "every file read once: four digests, fingerprints of keyframes"):
        scan(out / "seized", out / "scan", progress=progress)
    with clock.step("match", "compared with the lists; each method's own errors measured"):
        compiled = [make_list(path, out / "lists" / path.stem, progress=progress) for path in lists]
        with open_to_write(out / "scan") as store:
            match(store, compiled, progress=progress)
    with clock.step("report", "each figure with the query that gives it"):
        report = write_report(out / "scan", out / "report", progress=progress)
    if leads is not None:
        with clock.step("timeline", "the files' times beside the site's payments"):
            write_timeline(out / "scan", leads, out / "timeline")
    with clock.step("verify", "log, rows, report, and every file read again"):
        against = Against(source=out / "seized", sample=Sample(1.0, 0), report=out / "report")
        verdict = verify(out / "scan", against, progress)
    figures = {figure.name: figure.value for figure in report.figures}
    checks: dict[str, str] = {check.name: check.state for check in verdict.checks}
    by_name = {figure.name: figure for figure in report.figures}
    console.print()
    for name in _SAID:
        console.print(Text(by_name[name].sentence), soft_wrap=True)
    return EvidenceDemo(out, figures, dict(_EXPECTED), checks, clock.seconds)


def _make(seized: Path, lists: Path) -> list[Path]:
    """The tree, and two lists: one knows a clip by its digest, one knows two others by their pictures."""
    clips = [spikes.original(_SEED, number) for number in range(4)]
    small, mirrored = _edit(clips[1], "re-encode 360p"), _edit(clips[1], "mirror")
    for folder in (seized / "videos", seized / "backup", seized / "notes", lists):
        folder.mkdir(parents=True)
    for name, content in {
        "videos/a.mp4": clips[0],
        "videos/b-small.mp4": small,
        "videos/c-bars.mp4": _edit(clips[2], "letterbox"),
        "videos/d.mp4": clips[3],
        "backup/copy-of-a.mp4": clips[0],
        "backup/old.zip": _zip({"b-mirrored.mp4": mirrored, "inner.zip": _zip({"a.mp4": clips[0]})}),
        "notes/readme.txt": b"made for a demonstration\n",
        "notes/empty.txt": b"",
    }.items():
        (seized / name).write_bytes(content)
    (seized / "backup/a-again.mp4").hardlink_to(seized / "videos/a.mp4")
    (seized / "latest").symlink_to("videos/a.mp4")
    by_digest, by_pictures = lists / "digests.csv", lists / "pictures.csv"
    by_digest.write_text(f"sha256\n{hashlib.sha256(clips[0]).hexdigest()}\n")
    frames = [frame for clip in clips[1:3] for frame in fingerprint(io.BytesIO(clip), stage="second").frames]
    by_pictures.write_text("pdq\n" + "".join(f"{frame.plain.hex()}\n" for frame in frames))
    return [by_digest, by_pictures]


def _edit(clip: bytes, wanted: str) -> bytes:
    return next(content for name, content in spikes.edited(clip) if name == wanted)


def _zip(members: dict[str, bytes]) -> bytes:
    """A zip whose members all have its format's first moment, 1980-01-01, as badly made ones have."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def _set_times(seized: Path, leads: Path | None) -> None:
    """Spread the files' times over the payments' span, or a day apart."""
    first, step = _FIRST_NS, _STEP_NS
    files = sorted(path for path in seized.rglob("*") if path.is_file() and not path.is_symlink())
    if leads is not None and (rows := read_leads_dir(leads).leads):
        times = sorted(int(datetime.fromisoformat(row.payment.time).timestamp()) for row in rows)
        first, step = times[0] * 10**9, (times[-1] - times[0]) * 10**9 // len(files)
    for number, path in enumerate(files):
        os.utime(path, ns=(first + number * step,) * 2)
