"""A scan directory made by hand, with every case that a report must tell apart. No media is involved."""

import hashlib
import json
from pathlib import Path

from geldspur.evidence.store import ScanStore, new_or_unfinished

CLOCK = "2021-01-02T03:04:05.000Z"
HOSTILE = (
    b"=cmd|' /C calc'!A0.mp4",
    b"+1+1",
    b"@SUM(A1)",
    b"-2+3",
    b"a;=1+1",
    b'quote",comma\ncr\r.txt',
    b"na\xefve\xff\xfe.bin",
    "rtl\u202egpj.exe".encode(),
    b'#image("x.png") $x$ *b* _i_ @ref <label> \\u{41}',
    b"<script>alert(1)</script>&amp;",
    b"\x00\x1b[31mred",
    "emoji\U0001f600\u05d0\u05d1".encode(),
)
LIST_A, LIST_B, LIST_C, LIST_D = (hashlib.sha256(name.encode()).digest() for name in "ABCD")


def digest(text: str) -> dict[str, bytes]:
    data = text.encode()
    return {
        "md5": hashlib.md5(data).digest(),
        "sha1": hashlib.sha1(data).digest(),
        "sha256": hashlib.sha256(data).digest(),
        "blake3": hashlib.blake2s(data).digest(),
    }


class Maker:
    """Fills a scan's tables."""

    def __init__(self, store: ScanStore) -> None:
        self.store, self.db = store, store.db

    def content(self, name: str, size: int, media: str, reason: str | None = None, deep: str | None = None) -> int:
        d = digest(name) if size else digest("")
        cursor = self.db.execute(
            "INSERT INTO content (size, md5, sha1, sha256, blake3, media, media_reason, deep) VALUES (?,?,?,?,?,?,?,?)",
            (size, d["md5"], d["sha1"], d["sha256"], d["blake3"], media, reason, deep),
        )
        if media in ("image", "video"):
            self.db.execute(
                "INSERT INTO media VALUES (?, ?, 'x', 640, 360, ?, 5, 0)",
                (cursor.lastrowid, "mov,mp4" if media == "video" else "png_pipe", 60_000 if media == "video" else None),
            )
        assert cursor.lastrowid
        return cursor.lastrowid

    def frames(self, content: int, *qualities: int) -> None:
        for number, quality in enumerate(qualities):
            at = hashlib.sha256(f"{content}/{number}".encode()).digest()
            self.db.execute(
                "INSERT INTO frame VALUES (?, 'keyframe', ?, ?, ?, ?, NULL, NULL)",
                (content, number * 1000, quality, at, at),
            )

    def entry(self, path: bytes, content: int | None = None, **columns: object) -> int:
        row = {"path": path, "kind": "file", "state": "hashed" if content else "found", "content": content} | columns
        if content and "size" not in row:
            row["size"] = self.db.execute("SELECT size FROM content WHERE id = ?", (content,)).fetchone()[0]
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        cursor = self.db.execute(f"INSERT INTO entry ({names}) VALUES ({marks})", tuple(row.values()))
        assert cursor.lastrowid
        return cursor.lastrowid

    def list(self, name: str, sha256: bytes, kind: str = "material", **columns: object) -> int:
        row = {
            "name": name, "file_name": f"{name}.json", "sha256": sha256, "format": "vics-2.0", "version": None,
            "made": None,
            "scheme": None, "kind": kind, "entries": 1000, "md5s": 1000, "sha1s": 1000, "sha256s": 0, "pdqs": 0,
            "unmatchable": "{}",
        } | columns  # fmt: skip
        cursor = self.db.execute(
            f"INSERT INTO hash_list ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
        )
        assert cursor.lastrowid
        return cursor.lastrowid

    def hit(self, content: int, hash_list: int, method: str, row: int, category: str | None, *near: object) -> None:
        values = near or (None,) * 5
        self.db.execute(
            "INSERT INTO hit VALUES (?,?,?,?,?,?,?,?,?,?)", (content, hash_list, method, row, category, *values)
        )


def make_scan(folder: Path, *, matched: bool = True) -> Path:
    """The scan: 31 files, of which 25 read, 3 unreadable, 3 skipped; 17 unique contents."""
    with new_or_unfinished(folder) as store:
        store._clock = lambda: CLOCK
        with store.change():
            maker = Maker(store)
            _scan(maker)
            store.log("begun", source="/evidence/exhibit-7", source_kind="folder", tool="geldspur 0.1.0", options={})
            store.log("finished", counts={"files": 31})
            if matched:
                _matches(maker)
                store.log("matched", list=LIST_A.hex(), method="md5", hits=1)
    return folder


def _scan(maker: Maker) -> None:
    for key, value in (("tool", "geldspur 0.1.0"), ("source", "/evidence/exhibit-7"), ("source_kind", "folder")):
        maker.db.execute("INSERT INTO about VALUES (?, ?)", (key, value))
    times = {
        "born_ns": 1_700_000_000_000_000_000, "modified_ns": 1_700_000_000_123_000_000,
        "accessed_ns": 1_700_000_001_000_000_001, "changed_ns": -1, "times_from": "statx",
    }  # fmt: skip
    maker.entry(b"videos", kind="directory", state="listed")
    maker.entry(
        b"locked", kind="directory", state="unreadable", reason="error", errno=13, detail="Permission denied: locked"
    )
    known = maker.content("known", 5_000_000, "video")  # 1
    near = maker.content("near", 6_000_000, "video", deep="second")  # 2
    unknown = maker.content("unknown", 7_000_000, "video")  # 3
    alike = maker.content("alike", 7_100_000, "video", deep="frame")  # 4
    image = maker.content("image", 90_000, "image")  # 5
    dark = maker.content("dark", 80_000, "image")  # 6
    text = maker.content("text", 1_000, "other")  # 7
    system = maker.content("system", 2_000, "other")  # 8
    empty = maker.content("", 0, "other")  # 9
    crashed = maker.content("crashed", 3_000_000, "failed", "crashed")  # 10
    for content, qualities in ((known, (80, 90)), (near, (70, 95, 40)), (unknown, (60,)), (alike, (90,)),
                               (image, (99,)), (dark, (12,))):  # fmt: skip
        maker.frames(content, *qualities)
    maker.entry(b"videos/known.mp4", known, device=1, inode=10, links=2, **times)
    maker.entry(b"videos/known-again.mp4", known, device=1, inode=10, links=2, **times)
    maker.entry(b"videos/near.mp4", near, device=1, inode=11, links=1, allocated=4096, **times)
    maker.entry(b"videos/unknown.mp4", unknown, **times)
    maker.entry(b"videos/copy of unknown.mp4", unknown)
    maker.entry(b"videos/alike.mp4", alike, deleted=1)
    maker.entry(b"videos/alike.mp4", alike, ordinal=1, deleted=1)
    maker.entry(b"image.png", image)
    maker.entry(b"dark.png", dark)
    maker.entry(b"text.txt", text)
    maker.entry(b"system.dll", system)
    maker.entry(b"empty", empty)
    maker.entry(b"crashed.avi", crashed)
    for number, name in enumerate(HOSTILE[:7]):
        maker.entry(name, maker.content(f"hostile {number}", 100 + number, "other"))
    for name in HOSTILE[7:]:
        maker.entry(name, text)
    archive = maker.entry(b"box.zip", system, members="listed")
    # 13 + 12 + 1 names read so far, of 17 contents; what follows was not.
    maker.entry(b"box.zip!secret.mp4", parent=archive, state="skipped", reason="encrypted", size=10)
    maker.entry(b"link", kind="symlink", state="skipped", reason="symlink")
    maker.entry(b"pipe", kind="special", state="skipped", reason="special")
    maker.entry(b"bad sector.mp4", state="unreadable", reason="error", errno=5, error_offset=262_144, size=9_000_000,
                detail="Input/output error: '/evidence/exhibit-7/bad sector.mp4'")  # fmt: skip
    maker.entry(b"gone.tmp", state="unreadable", reason="vanished", errno=2)


def _matches(maker: Maker) -> None:
    a = maker.list("Agency A", LIST_A, scheme="US", version="2025-11", made="2025-11-01", pdqs=400,
                   unmatchable=json.dumps({"photodna": 250}))  # fmt: skip
    b = maker.list("Agency B", LIST_B, scheme="UK", format="caid", version="7")
    c = maker.list("Known software", LIST_C, kind="benign", format="nsrl-rds-3", sha256s=1000)
    maker.list("Nothing found", LIST_D, format="plain", sha256s=1000, md5s=0, sha1s=0)
    ids = {name: maker.db.execute("SELECT id FROM content WHERE sha256 = ?", (digest(name)["sha256"],)).fetchone()[0]
           for name in ("known", "near", "unknown", "alike", "image", "system")}  # fmt: skip
    maker.hit(ids["known"], a, "md5", 12, "1")
    maker.hit(ids["known"], a, "sha1", 12, "1")
    maker.hit(ids["known"], b, "md5", 3, "A")
    maker.hit(ids["known"], a, "pdq", 12, "1", 2, 2, 0, 90, "plain")
    maker.hit(ids["near"], a, "pdq", 40, "2", 2, 2, 14, 95, "mirrored")
    maker.hit(ids["image"], a, "pdq", 41, None, 1, 1, 30, 55, "cropped")
    maker.hit(ids["system"], c, "sha256", 77, None)
    for content, cluster in (
        ("known", "known"),
        ("near", "near"),
        ("unknown", "alike"),
        ("alike", "alike"),
        ("image", "image"),
    ):
        maker.db.execute("INSERT INTO cluster VALUES (?, ?)", (ids[content], ids[cluster]))
    for trial, tried, wrong in (("decoy", 5000, 1), ("spike: re-encoded", 40, 2), ("spike: cropped by 6 %", 40, 40)):
        detail = json.dumps({"seed": 1, "threshold": 31})
        maker.db.execute("INSERT INTO method_error VALUES ('pdq', ?, ?, ?, ?)", (trial, tried, wrong, detail))
