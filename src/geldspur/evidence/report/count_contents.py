"""Figures about contents: unique by bytes, media, visually distinct, and what is known of them."""

import sqlite3
from collections.abc import Iterator

from geldspur.evidence.reasons import NO_FINGERPRINT
from geldspur.evidence.report.count_files import literal, part_of_name
from geldspur.evidence.report.figures import Counter, Sum

SEARCHED_QUALITY = 50  # below it a frame is not searched (schema.sql)
WEAK_QUALITY = 60  # PDQ of flat frames hangs on rounding; seen up to quality 54
MOST_FRAMES = 80  # per cent; vPDQ's own example of a match of a whole video

_HIT = (
    "EXISTS (SELECT 1 FROM statement WHERE statement.content = content.id AND says = '{kind}' AND method {which} 'pdq')"
)
_IDENTICAL = _HIT.format(kind="material", which="<>")
_NEAR = _HIT.format(kind="material", which="=")
_BENIGN = _HIT.format(kind="benign", which="<>")
# What is known of a content: conditions that exclude each other. The empty content is compared with nothing.
LEVELS = {
    "identical": f"content.size > 0 AND {_IDENTICAL}",
    "near": f"content.size > 0 AND NOT {_IDENTICAL} AND {_NEAR}",
    "benign": f"content.size > 0 AND NOT {_IDENTICAL} AND NOT {_NEAR} AND {_BENIGN}",
    "unknown": f"content.size > 0 AND NOT {_IDENTICAL} AND NOT {_NEAR} AND NOT {_BENIGN}",
    "empty": "content.size = 0",
}
LEVEL_WORDS = {
    "identical": "Identical file: a digest stands in a list of reported material",
    "near": "Same video or image by frames, not identical: near an entry of a list of reported material",
    "benign": (
        "Identical file of a list of known harmless files, or of an entry that its list calls non-pertinent; "
        "nowhere listed as reported material"
    ),
    "unknown": "Unknown to all lists compared, by the methods named",
    "empty": "Of no bytes, never compared",
}
_MEDIA = {  # name: (condition, noun)
    "videos": ("content.media = 'video'", "unique videos"),
    "images": ("content.media = 'image'", "unique images"),
    "unfingerprinted": ("content.media IN ('failed', 'skipped')", "unique contents without fingerprints"),
    "other": ("content.media = 'other'", "unique contents that are no image or video"),
}
_SAMPLING = (
    ("keyframes", "keyframes only", "deep IS NULL"),
    ("seconds", "keyframes and one frame a second", "deep = 'second'"),
    ("frames", "every frame", "deep = 'frame'"),
    ("failed", "keyframes only, denser sampling failed", "deep = 'failed'"),
)


def count_contents(counter: Counter, db: sqlite3.Connection) -> Iterator[Sum]:
    """Count distinct sequences of bytes and what they are; yields the sums that must close."""
    unique = "contents.unique"
    counter.count(
        unique,
        "Unique by bytes (same SHA-256 and size counted once)",
        "SELECT count(DISTINCT content) FROM entry WHERE kind <> 'directory' AND state = 'hashed'",
        noun="unique contents",
    )
    counter.count(
        "files.duplicates",
        "Files with the bytes of another file (copies and hard links)",
        "SELECT coalesce(sum(names - 1), 0) FROM (SELECT count(*) AS names FROM entry WHERE content IS NOT NULL "
        "GROUP BY content)",
        of="files.hashed",
    )
    counter.count("contents.stored", "Contents in the database", "SELECT count(*) FROM content")
    counter.count("bytes.unique", "Bytes of the unique contents", "SELECT coalesce(sum(size), 0) FROM content")
    for name, (where, noun) in _MEDIA.items():
        sql = f"SELECT count(*) FROM content WHERE {where}"
        counter.count(f"{name}.unique", noun[0].upper() + noun[1:], sql, of=unique, noun=noun)
    counter.count(
        "contents.pending", "Contents not yet looked at", "SELECT count(*) FROM content WHERE media = 'pending'"
    )
    counter.count(
        "media.unique",
        "Images and videos, unique by bytes",
        "SELECT count(*) FROM media JOIN content ON content.id = media.content "
        "WHERE content.media IN ('image', 'video')",
        of=unique,
        noun="unique images and videos",
    )
    reasons = tuple(_no_fingerprints(counter, db))
    yield Sum("files.hashed", (unique, "files.duplicates"))
    yield Sum("contents.stored", (unique,))
    yield Sum(unique, tuple(f"{name}.unique" for name in _MEDIA))
    yield Sum("contents.pending", ())
    yield Sum("media.unique", ("videos.unique", "images.unique"))
    yield Sum("unfingerprinted.unique", reasons)


def _no_fingerprints(counter: Counter, db: sqlite3.Connection) -> Iterator[str]:
    where = _MEDIA["unfingerprinted"][0]
    for (reason,) in db.execute(f"SELECT DISTINCT media_reason FROM content WHERE {where} ORDER BY 1").fetchall():
        name = f"unfingerprinted.{part_of_name(reason)}"
        told = NO_FINGERPRINT.get(reason or "", f"reason “{reason}”" if reason else "no reason recorded")
        sql = f"SELECT count(*) FROM content WHERE {where} AND media_reason IS {literal(reason)}"
        counter.count(name, f"No fingerprints: {told}", sql, of="unfingerprinted.unique")
        yield name


def count_sampling(counter: Counter) -> Iterator[Sum]:
    """Count frames, how densely videos were sampled, and media that near matching can't search."""
    counter.count(
        "media.not_searchable",
        f"Images and videos without a frame of quality {SEARCHED_QUALITY} or more (not searchable by near matching)",
        "SELECT count(*) FROM content WHERE media IN ('image', 'video') AND NOT EXISTS (SELECT 1 FROM frame "
        f"WHERE frame.content = content.id AND frame.quality >= {SEARCHED_QUALITY})",
        of="media.unique",
    )
    counter.count("frames.stored", "Frames fingerprinted", "SELECT count(*) FROM frame", noun="frames fingerprinted")
    counter.count(
        "frames.poor",
        f"Frames of a quality below {SEARCHED_QUALITY} (not searched)",
        f"SELECT count(*) FROM frame WHERE quality < {SEARCHED_QUALITY}",
        of="frames.stored",
    )
    for name, label, where in _SAMPLING:
        sql = f"SELECT count(*) FROM content WHERE media = 'video' AND {where}"
        counter.count(f"videos.sampled.{name}", f"Videos sampled at {label}", sql, of="videos.unique")
    yield Sum("videos.unique", tuple(f"videos.sampled.{name}" for name, _, _ in _SAMPLING))


def count_distinct(counter: Counter) -> Iterator[Sum]:
    """Count what is visually distinct within the scan, after its media were compared with each other."""
    counter.count(
        "distinct.compared",
        "Images and videos compared with each other",
        "SELECT count(*) FROM cluster",
        of="media.unique",
        noun="images and videos compared with each other",
    )
    counter.count(
        "distinct.groups",
        "Visually distinct among them (alike by frames counted once)",
        "SELECT count(DISTINCT cluster) FROM cluster",
        of="distinct.compared",
    )
    for name, kind in (("videos", "a video"), ("images", "an image")):
        counter.count(
            f"distinct.{name}",
            f"Visually distinct groups that hold {kind}",
            "SELECT count(DISTINCT cluster.cluster) FROM cluster JOIN content ON content.id = cluster.content "
            f"WHERE {_MEDIA[name][0]}",
        )
    yield Sum("media.unique", ("distinct.compared", "media.not_searchable"))


def count_levels(counter: Counter) -> Iterator[Sum]:
    """Count what is known of contents, once for all and once a kind of content; yields the sums that must close."""
    for population, (inside, noun) in {"contents": ("", "unique contents"), **_MEDIA}.items():
        whole = f"{population}.unique"
        levels = [level for level in LEVELS if level != "empty" or population in ("contents", "other")]
        for level in levels:
            counter.count(
                f"{population}.{level}",
                f"{LEVEL_WORDS[level]} ({noun})",
                f"SELECT count(*) FROM content WHERE {inside and inside + ' AND '}{LEVELS[level]}",
                of=whole,
                noun=f"{noun} of this level",
            )
        yield Sum(whole, tuple(f"{population}.{level}" for level in levels))
    levels = [level for level in LEVELS if level != "empty"]
    for level in levels:
        counter.count(
            f"files.{level}",
            f"{LEVEL_WORDS[level]} (files by name)",
            f"SELECT count(*) FROM entry JOIN content ON content.id = entry.content WHERE {LEVELS[level]}",
            of="files.hashed",
        )
    yield Sum("files.hashed", (*(f"files.{level}" for level in levels), "files.empty"))


def count_near(counter: Counter) -> Iterator[Sum]:
    """Say how strong the near matches are that no identical file backs, and where levels touch each other."""
    best = (
        "SELECT content.id, max(frames * 100.0 / max(of_frames, 1)) AS percent, max(quality) AS quality "
        "FROM content JOIN statement ON statement.content = content.id "
        f"WHERE says = 'material' AND method = 'pdq' AND {LEVELS['near']} GROUP BY content.id"
    )
    for name, label, where in (
        ("most", f"at least {MOST_FRAMES} % of their searchable frames match one entry", f"percent >= {MOST_FRAMES}"),
        (
            "some",
            f"fewer than {MOST_FRAMES} % of their searchable frames match any one entry",
            f"percent < {MOST_FRAMES}",
        ),
        ("weak", f"no matching pair of a quality of {WEAK_QUALITY} or more (weak)", f"quality < {WEAK_QUALITY}"),
    ):
        sql = f"SELECT count(*) FROM ({best}) WHERE {where}"
        counter.count(f"near.{name}", f"Same by frames, not identical; {label}", sql, of="contents.near")
    counter.count(
        "unknown.alike",
        "Unknown to the lists, but alike by frames to a content of this scan that a list of reported material knows",
        "SELECT count(*) FROM content JOIN cluster ON cluster.content = content.id "
        f"WHERE {LEVELS['unknown']} AND cluster.cluster IN (SELECT cluster.cluster FROM cluster "
        "JOIN statement ON statement.content = cluster.content WHERE says = 'material')",
        of="contents.unknown",
    )
    counter.count(
        "unknown.near_benign",
        "Unknown as material, but near by frames to an entry listed as harmless or non-pertinent",
        f"SELECT count(*) FROM content WHERE {LEVELS['unknown']} AND {_HIT.format(kind='benign', which='=')}",
        of="contents.unknown",
    )
    counter.count(
        "contents.contested",
        "Identical files that one list reports as material and another lists as harmless or non-pertinent",
        f"SELECT count(*) FROM content WHERE {LEVELS['identical']} AND {_BENIGN}",
        of="contents.identical",
    )
    yield Sum("contents.near", ("near.most", "near.some"))
