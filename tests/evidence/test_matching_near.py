"""Hits and clusters counted by hand on made scans."""

import numpy as np
import pytest
from matching_hashes import flipped, random_hashes
from matching_scan import made_scan, reversed_bits

from geldspur.evidence.matching import near
from geldspur.evidence.matching.clusters import clusters
from geldspur.evidence.matching.frames import queries, searchable
from geldspur.evidence.matching.mih import MultiIndex
from geldspur.evidence.matching.near import NearHit, contents_near, near_hits


@pytest.fixture
def scan(tmp_path):
    with made_scan(tmp_path / "scan") as made:
        yield made


@pytest.fixture
def pictures():
    """Strangers to each other: some 128 bits apart."""
    return random_hashes(np.random.default_rng(17), 300)


def away(value, count, first=0):
    return flipped(value, range(first, first + count))


def mirror(value):
    return np.frombuffer(reversed_bits(value), np.uint8)


@pytest.mark.assertion(
    "EV-MA-03", "A near match tells N of M frames, and distance, quality and variant of its nearest pair."
)
def test_near_hits_count_pictures_and_tell_the_nearest_pair(scan, pictures):
    a, b, c, d = pictures[:4]
    film = scan.content(
        b"film", "video",
        [(0, 90, away(a, 31)), (1000, 70, away(a, 5)), (2000, 55, away(a, 5, 9)), (3000, 49, a), (4000, 80, mirror(b)),
         (5000, 90, d, away(c, 7)), (6000, 90, away(a, 32))],
    )  # fmt: skip
    still = scan.content(b"still", "image", [(0, 55, away(b, 12))])
    scan.content(b"other", "image", [(0, 100, pictures[9])])
    db = scan.store.db
    # Row 4 of the list is a video of two hashes, row 9 another of one of the same hashes; row 5, 6: a still each.
    rows = np.array([4, 4, 9, 5, 6])
    index = MultiIndex(np.stack([a, away(a, 2), a, b, c]))
    found = {hits.content: hits for hits in near_hits(db, index, rows)}
    assert set(found) == {film, still}
    assert found[film].hits == [
        NearHit(film, 5, 1, 0, 80, "mirrored"),
        NearHit(film, 4, 4, 3, 70, "plain"),
        NearHit(film, 9, 3, 5, 70, "plain"),
        NearHit(film, 6, 1, 7, 90, "cropped"),
    ]
    assert found[still].hits == [NearHit(still, 5, 1, 12, 55, "plain")]
    assert searchable(db)[film] == 6
    assert contents_near(db, index, set(searchable(db))) == {film, still}
    first = next(iter(searchable(db)))
    assert contents_near(db, index, {first}) == {film, still} & {first}


def test_a_picture_taken_at_two_stages_counts_once(scan, pictures):
    film = scan.content(b"film", "video", [(0, 90, pictures[0]), (1000, 90, pictures[1])])
    with scan.store.change() as db:
        db.execute("INSERT INTO frame SELECT content, 'second', at_ms, quality, plain, mirrored, NULL, NULL FROM frame")
    (hits,) = near_hits(db, MultiIndex(pictures[:1]), np.array([0]))
    assert [(hit.content, hit.frames) for hit in hits.hits] == [(film, 1)]
    assert searchable(db) == {film: 2}


@pytest.mark.assertion("EV-MA-04", "Near matches do not depend on how the work is divided.")
def test_hits_do_not_depend_on_how_the_work_is_cut(scan, pictures, monkeypatch):
    random = np.random.default_rng(2)
    for number in range(30):
        frames = [(t, 60, flipped(pictures[random.integers(20)], random.integers(0, 256, 9))) for t in range(20)]
        scan.content(b"%d" % number, "video", frames)
    listed = np.concatenate([pictures[:20], pictures[:20]])
    index, rows = MultiIndex(listed), np.arange(40)
    whole = list(near_hits(scan.store.db, index, rows))
    assert len(whole) == 30
    monkeypatch.setattr(near, "_SPREAD", 3)
    monkeypatch.setattr(near, "queries", lambda db: queries(db, 7))
    assert list(near_hits(scan.store.db, index, rows)) == whole


def test_a_list_of_equal_hashes_gives_a_bounded_answer_that_says_how_many_there_are(scan, pictures):
    scan.content(b"slide", "video", [(t, 90, pictures[0]) for t in range(50)])
    index = MultiIndex(np.repeat(pictures[:1], 300_000, axis=0))
    (hits,) = near_hits(scan.store.db, index, np.arange(300_000))
    assert hits.entries == 300_000
    assert [(hit.row, hit.frames) for hit in hits.hits] == [(row, 50) for row in range(near.ROWS_KEPT)]


def grouped(scan):
    groups = {}
    for content, leader in clusters(scan.store.db):
        groups.setdefault(leader, set()).add(content)
    return groups


def lowest(scan, contents):
    marks = ",".join("?" * len(contents))
    sql = f"SELECT id FROM content WHERE id IN ({marks}) ORDER BY sha256 LIMIT 1"
    return scan.store.db.execute(sql, list(contents)).fetchone()[0]


def film(scan, name, hashes, shift=0):
    return scan.content(name.encode(), "video", [(1000 * t, 90, away(h, shift)) for t, h in enumerate(hashes)])


def test_copies_of_a_video_are_one_and_are_named_by_the_lowest_digest(scan, pictures):
    whole = film(scan, "whole", pictures[:12])
    again = film(scan, "again", pictures[:12], 10)
    trimmed = film(scan, "trimmed", pictures[4:9], 20)
    mirrored = film(scan, "mirrored", [mirror(h) for h in pictures[:12]])
    half = film(scan, "half", [*pictures[:3], *pictures[20:23]])
    less = film(scan, "less", [*pictures[:2], *pictures[30:33]])
    still = scan.content(b"still", "image", [(0, 90, pictures[0])])
    copy = scan.content(b"copy", "image", [(0, 52, away(pictures[0], 31))])
    flat = scan.content(b"flat", "image", [(0, 49, pictures[0])])
    groups = grouped(scan)
    copies = {whole, again, trimmed, mirrored, half}
    assert groups == {lowest(scan, g): g for g in (copies, {less}, {still, copy})}
    assert flat not in set().union(*groups.values())


@pytest.mark.assertion("EV-MA-05", "Videos that share a title and black frames alone are not counted as one.")
def test_strangers_are_not_chained_by_a_title_or_a_copy_between_them(scan, pictures):
    title, black = pictures[200], pictures[201]
    strangers = [film(scan, f"film {n}", [title, black, *pictures[10 * n : 10 * n + 6]]) for n in range(14)]
    only_title = film(scan, "title", [title, title])
    short = [film(scan, f"short {n}", [title, black, pictures[210 + n]]) for n in range(3)]
    groups = grouped(scan)
    assert {frozenset(g) for g in groups.values()} == {frozenset({n}) for n in [*strangers, only_title, *short]}


def test_one_of_two_pictures_is_enough_for_videos_of_equal_length_only(scan, pictures):
    def lasting(name, hashes, duration_ms):
        number = film(scan, name, hashes)
        with scan.store.change() as db:
            db.execute("INSERT INTO media VALUES (?, 'mp4', 'h264', 64, 64, ?, 2, 0)", (number, duration_ms))
        return number

    whole = lasting("whole", pictures[:4], 3000)
    again = lasting("again", [pictures[0], pictures[50]], 3400)
    longer = lasting("longer", [pictures[0], pictures[60]], 4000)
    less = lasting("less", [pictures[0], *pictures[70:72]], 3000)
    assert {frozenset(group) for group in grouped(scan).values()} == {
        frozenset({whole, again}),
        frozenset({longer}),
        frozenset({less}),
    }


def test_two_halves_of_a_compilation_stay_two(scan, pictures):
    first, second = film(scan, "first", pictures[:10]), film(scan, "second", pictures[10:19])
    both = film(scan, "both", [*pictures[4:8], *pictures[12:16]])
    assert len(grouped(scan)) == 2
    (with_both,) = (g for g in grouped(scan).values() if both in g)
    assert with_both == {first, both}
    assert second not in with_both
    assert grouped(scan) == grouped(scan)


def test_blocks_change_no_cluster_of_copies(scan, pictures, monkeypatch):
    for family in range(20):
        for copy in range(6):
            film(scan, f"{family}/{copy}", pictures[10 * family : 10 * family + 7], 4 * copy)
    assert sorted(map(len, grouped(scan).values())) == [6] * 20
    before = grouped(scan)
    monkeypatch.setattr("geldspur.evidence.matching.clusters._BLOCK", 7)
    assert grouped(scan) == before
