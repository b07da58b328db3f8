"""The report as plain values for the template, which sets strings as they are and never looks at markup in them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from geldspur.evidence.report import words
from geldspur.evidence.report.figures import Figure, share
from geldspur.evidence.report.lists import DIGESTS, Listed
from geldspur.evidence.report.rows import Row, Rows
from geldspur.evidence.report.tables import not_read
from geldspur.leads.report.plain import clean, number
from geldspur.wording import LIST_KINDS, counted

HITS_SHOWN = 200  # contents at each level; hits.csv has them all
NOT_READ_SHOWN = 200
STATEMENTS_SHOWN = 8  # of lists that report a content as material
OTHERS_SHOWN = 3  # of lists that call it harmless or non-pertinent
_TEXT = 1000

_LEVELS = ("identical", "near", "benign", "unknown", "empty")
_POPULATIONS = (
    ("videos", "Unique videos"),
    ("images", "Unique images"),
    ("unfingerprinted", "Without fingerprints"),
    ("other", "No image or video"),
    ("contents", "All unique contents"),
    ("files", "Files by name"),
)

Block = dict[str, Any]


class View:
    """Puts together what the template sets."""

    def __init__(self, document: Mapping[str, Any], figures: Iterable[Figure], lists: Mapping[int, Listed], rows: Rows):
        self._document = document
        self._figures = {figure.name: figure for figure in figures}
        self._lists = lists
        self._rows = rows

    def build(self, files: Mapping[str, str]) -> Block:
        """The whole view; `files` are the data files beside the PDF with their SHA-256."""
        document = self._document
        about = document["scan"]["about"]
        return {
            "head": {
                "source": clean(about.get("source", "not recorded"), 300),
                "source_kind": clean(about.get("source_kind", "")),
                "tool": clean(about.get("tool", "not recorded")),
                "time": document["made_time"],
                "names": document["names"],
            },
            "standing": document["standing"],
            "tiles": self._tiles(),
            "chain": self._chain(),
            "levels": self._levels() if self._lists else None,
            "kinds": self._sentences(_KINDS),
            "near": self._sentences(_NEAR),
            "media": self._sentences(_ABOUT_MEDIA),
            "limits": words.LIMITS,
            "lists": [self._list(one) for one in self._lists.values()],
            "unknown": clean(document["unknown"], 4000),
            "not_searched": [clean(text, _TEXT) for text in document["not_searched"]],
            "chance": [_chance(error) for error in document["errors"] if error["trial"] == "decoy"],
            "misses": _misses(document["errors"]),
            "errors_not_measured": document["errors_not_measured"],
            "hits": {level: self._hits(level) for level in ("identical", "near")} if self._lists else {},
            "hits_total": {level: self._value(f"contents.{level}") for level in ("identical", "near")},
            "not_read": [self._not_read(row) for row in islice(self._rows.not_read(), NOT_READ_SHOWN)],
            "not_read_total": self._value("files.unreadable") + self._value("files.skipped")
            + self._value("folders.unreadable") + self._value("archives.refused"),
            "about": [[clean(_ABOUT.get(key, key), 80), clean(_plain(value), _TEXT)] for key, value in about.items()],
            "log": [number(document["scan"]["log_seq"]), document["scan"]["log_hash"]],
            "files": [[name, sha256] for name, sha256 in sorted(files.items())],
            "figures": [self._figure(figure) for figure in self._figures.values()],
        }  # fmt: skip

    def _sentences(self, names: Iterable[str]) -> list[str]:
        return [clean(self._figures[name].sentence, _TEXT) for name in names if name in self._figures]

    def _value(self, name: str) -> int:
        return self._figures[name].value if name in self._figures else 0

    def _share(self, figure: Figure) -> str:
        whole = self._figures[figure.of].value if figure.of else 0
        return share(figure.value, whole) if whole else ""

    def _tiles(self) -> list[Block]:
        names: list[tuple[str, str]] = [
            ("files.found", "files found"),
            ("contents.unique", "unique by bytes"),
            ("videos.unique", "unique videos"),
        ]
        tiles: list[Block] = [{"value": number(self._value(name)), "name": label, "note": ""} for name, label in names]
        if self._lists:
            unknown = self._figures["videos.unknown"]
            part = self._share(unknown)
            note = f"{part} of the {counted(self._value('videos.unique'), 'unique video')}" if part else ""
            tiles.append({"value": number(unknown.value), "name": "videos unknown to the lists compared", "note": note})
        else:
            images = self._figures["images.unique"]
            tiles.append({"value": number(images.value), "name": "unique images", "note": "no list was compared"})
        return tiles

    def _bar(self, title: str, whole: str, parts: Iterable[tuple[str, str, str]]) -> Block:
        """A bar of the picture: (figure, label, tone) a part. Parts of nothing are kept: their 0 is said."""
        total = self._value(whole)
        return {
            "title": title,
            "total": number(total),
            "parts": [
                {
                    "label": label,
                    "value": number(self._value(name)),
                    "share": share(self._value(name), total) if total else "",
                    "width": self._value(name) / total if total else 0,
                    "tone": tone,
                }
                for name, label, tone in parts
            ],
        }

    def _chain(self) -> Block:
        files = (
            ("files.hashed", "read", "main"), ("files.unreadable", "unreadable", "bad"),
            ("files.skipped", "skipped", "rest"),
        )  # fmt: skip
        unique = (("contents.unique", "unique by bytes", "main"), ("files.duplicates", "copies of these", "rest"))
        media = (
            ("videos.unique", "videos", "main"), ("images.unique", "images", "mid"),
            ("unfingerprinted.unique", "without fingerprints", "bad"), ("other.unique", "no image or video", "rest"),
        )  # fmt: skip
        bars = [
            self._bar("Files found", "files.found", files),
            self._bar("Files read", "files.hashed", unique),
            self._bar("Unique by bytes", "contents.unique", media),
        ]
        levels = [
            ("identical", "identical file", "main"), ("near", "same by frames", "mid"),
            ("benign", "harmless or not pertinent", "rest"), ("unknown", "unknown", "open"),
        ]  # fmt: skip
        known = [
            self._bar(title, f"{name}.unique", [(f"{name}.{level}", label, tone) for level, label, tone in levels])
            for name, title in (("videos", "Unique videos"), ("images", "Unique images"))
        ]
        return {"bars": bars, "known": known if self._lists else [], "distinct": self._distinct()}

    def _distinct(self) -> str:
        if "distinct.groups" not in self._figures:
            return "Not compared with each other: what is visually distinct is not known."
        groups, compared = self._value("distinct.groups"), self._value("distinct.compared")
        left = self._value("media.not_searchable")
        return (
            f"Visually distinct: {groups:,} among the {compared:,} unique images and videos that could be compared "
            f"with each other; {left:,} could not."
        )

    def _levels(self) -> Block:
        rows = []
        for population, label in _POPULATIONS:
            whole = self._value("files.hashed" if population == "files" else f"{population}.unique")
            cells = []
            for level in _LEVELS:
                figure = self._figures.get(f"{population}.{level}")
                part = share(figure.value, whole) if figure and whole else ""
                cells.append([number(figure.value), part] if figure else ["", ""])
            rows.append({"label": label, "cells": cells, "whole": number(whole)})
        meanings = [
            {"level": level, "title": words.LEVELS[level][0], "means": words.LEVELS[level][1]} for level in _LEVELS
        ]
        return {"meanings": meanings, "rows": rows}

    def _list(self, one: Listed) -> Block:
        lead = f"list.{one.key}."
        results = []
        for method in (*DIGESTS, "pdq"):
            figure = self._figures.get(lead + method)
            found = f"{counted(figure.value, 'unique content')}" if figure else "the list has no such entries"
            results.append([words.METHOD_NAMES[method], f"{one.entries_by[method]:,}", found])
        identical, near = self._value(lead + "identical"), self._value(lead + "pdq")
        return {
            "title": clean(one.title, 200),
            "file": clean(one.file_name, 200),
            "sha256": one.sha256.hex(),
            "kind": LIST_KINDS[one.kind],
            "facts": clean(
                f"format {one.format}; made {one.made or 'not stated'}; category scheme {one.scheme or 'not stated'}",
                300,
            ),
            "entries": number(one.entries),
            "unmatchable": ", ".join(f"{clean(kind, 60)} {count:,}" for kind, count in one.unmatchable.items())
            or "none",
            "results": results,
            "nothing": identical + near == 0,
            "categories": list(self._categories(one)),
        }

    def _categories(self, one: Listed) -> Iterator[Block]:
        for level, title in (
            ("identical", "identical file"),
            ("near", "same by frames"),
            ("benign", "not pertinent"),
        ):
            lead = f"list.{one.key}.{level}.category."
            for name, figure in self._figures.items():
                if name.startswith(lead):
                    told = figure.sentence.rpartition(" (unique contents): ")[0].partition("reported there with ")[2]
                    value = number(figure.value)
                    yield {"level": title, "told": clean(told, 200), "value": value, "share": self._share(figure)}

    def _hits(self, level: str) -> list[Block]:
        return [self._hit(row) for row in islice(self._rows.contents(f"report_level.level = '{level}'"), HITS_SHOWN)]

    def _hit(self, row: Row) -> Block:
        assert row.content is not None and row.sha256 is not None
        material = self._rows.hits(row.content, says=("material",))
        others = self._rows.hits(
            row.content, says=("benign",)
        )  # what speaks against is told wherever something speaks for
        hits = material[:STATEMENTS_SHOWN] + others[:OTHERS_SHOWN]
        names = row.names
        return {
            "name": clean(self._rows.name(row), 300),
            "more": f"and {names - 1:,} more names" if names > 2 else "and one more name" if names == 2 else "",
            "sha256": row.sha256.hex(),
            "size": number(row.size or 0),
            "says": [
                {"level": "benign" if hit.says == "benign" else "near" if hit.near else "identical",
                 "text": clean(words.hit(self._lists[hit.list], hit, row.media), _TEXT)}
                for hit in hits
            ],
            "left": len(material) + len(others) - len(hits),
        }  # fmt: skip

    def _not_read(self, row: Row) -> Block:
        what, sentence = not_read(row)
        place = "" if row.error_offset is None else f", first bad read at byte {row.error_offset:,}"
        errno = "" if row.errno is None else f" (errno {row.errno}{place})"
        return {"name": clean(self._rows.name(row), 300), "what": what, "why": sentence + errno}

    def _figure(self, figure: Figure) -> Block:
        return {
            "name": clean(figure.name, 300),
            "sentence": clean(figure.sentence, _TEXT),
            "sql": clean(figure.sql, 4000),
        }


def _chance(error: Mapping[str, Any]) -> Block:
    method = words.METHOD_NAMES.get(error["method"], clean(error["method"], 60))
    return {"method": method, "population": clean(error["population"], _TEXT), **_rate(error)} | _detail(
        error["detail"]
    )


def _misses(errors: Iterable[Mapping[str, Any]]) -> Block | None:
    """The misses as a table: a row an edit, a column a method."""
    cells: dict[str, dict[str, Block]] = {}
    about: dict[str, Any] = {}
    for error in errors:
        if error["trial"] != "decoy":
            cells.setdefault(clean(words.trial(error["trial"]), 120), {})[error["method"]] = _rate(error)
            about = {"population": clean(error["population"], _TEXT)} | _detail(error["detail"])
    if not cells:
        return None
    methods = [method for method in words.METHOD_NAMES if any(method in row for row in cells.values())]
    rows = [[edit, *(row.get(method) for method in methods)] for edit, row in cells.items()]
    return {"methods": [words.METHOD_NAMES[method] for method in methods], "rows": rows, **about}


def _rate(error: Mapping[str, Any]) -> Block:
    low, high = error["wilson95"]
    return {"counted": f"{error['wrong']:,} of {error['tried']:,}", "interval": f"{_percent(low)} to {_percent(high)}"}


def _detail(detail: Mapping[str, Any]) -> Block:
    """Plain values of what was tried; report.json has the rest."""
    plain = (
        f"{key.replace('_', ' ')} {value}" for key, value in sorted(detail.items()) if isinstance(value, int | str)
    )
    return {"detail": clean(", ".join(plain), _TEXT)}


def _plain(value: str) -> str:
    """What the scan recorded as JSON, in words: `filesystem ext4; mount point /`."""
    try:
        content = json.loads(value)
    except ValueError:
        return value
    if not isinstance(content, dict):
        return value
    told = (
        f"{key.replace('_', ' ')} {one if isinstance(one, str) else json.dumps(one)}"
        for key, one in content.items()
        if one != ""
    )
    return "; ".join(told)


def _percent(part: float) -> str:
    return f"{100 * part:.3g} %"


_ABOUT = {
    "describe": "Described as",
    "finished": "Finished",
    "options": "Options",
    "schema": "Schema",
    "source": "Source",
    "source_kind": "Kind",
    "tool": "Program",
    "walked": "All listed",
}
_KINDS = (
    "folders.found",
    "folders.unreadable",
    "files.hard_links",
    "files.empty",
    "files.sparse",
    "files.deleted",
    "files.repeated",
    "archives.found",
    "archives.refused",
    "files.members",
    "bytes.hashed",
    "bytes.unique",
)
_NEAR = (
    "near.most",
    "near.some",
    "near.weak",
    "unknown.alike",
    "unknown.near_benign",
    "contents.contested",
)
_ABOUT_MEDIA = (
    "distinct.compared",
    "distinct.groups",
    "distinct.videos",
    "distinct.images",
    "media.not_searchable",
    "frames.stored",
    "frames.poor",
    "videos.sampled.keyframes",
    "videos.sampled.seconds",
    "videos.sampled.frames",
    "videos.sampled.failed",
)
