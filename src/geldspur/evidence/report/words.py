"""The sentences of the report. Three levels that are never merged; a list reports, a report finds nobody guilty."""

from collections.abc import Mapping, Sequence

from geldspur.evidence.report.figures import Figure
from geldspur.evidence.report.lists import Listed, escaped, told_category
from geldspur.evidence.report.rows import Hit
from geldspur.wording import counted

STANDING = (
    "A match says that a file stands in a list, or looks like one that does, as that list reports it. It is no finding "
    "about a person: who put a file there, who knew of it and who opened it are not shown. Everybody is presumed "
    "innocent until a final judgment."
)
LEVELS = {
    "identical": (
        "Identical file",
        "A digest of the file stands in the list: the bytes are the same as those that the list's makers had. "
        "What the list says of them is the list's statement.",
    ),
    "near": (
        "Same video or image by frames",
        "Frames look like the entry's, at a PDQ distance of at most 31 of 256 bits: told with N of M searchable "
        "frames, distance, quality and variant. The bytes differ. A person has to compare before anything rests on it.",
    ),
    "benign": (
        "Listed as harmless or not pertinent",
        "A digest stands in a list of known harmless files, or with an entry that its list itself calls non-pertinent; "
        "no list reports the file as material.",
    ),
    "unknown": (
        "Unknown",
        "No list that was compared knows the file by any method that was used. It says nothing of what the file shows.",
    ),
    "empty": ("Empty", "A file of no bytes is like any other, and is never compared."),
    "not compared": ("Not compared", "No list was compared."),
}
METHODS = {
    "sha256": "identical file by SHA-256",
    "sha1": "identical file by SHA-1",
    "md5": "identical file by MD5",
    "pdq": "same video or image by frames (PDQ, distance at most 31 of 256, both frames of quality 50 or more)",
}
LIMITS = (
    ("A list can be wrong.", "What it reports of an entry is its makers' word, of the day on which it was made."),
    (
        "A category has no meaning without its scheme.",
        "The same number says different things in different countries; those of different schemes are never added up.",
    ),
    (
        "The same by frames is not the same file.",
        "PDQ compares the coarse light and dark of pictures. Different pictures can be alike in that, more so when "
        "they are flat or dark; matches of a quality below 60 are weak. A person has to compare.",
    ),
    ("Unknown is not harmless, and not new.", "It says which lists and methods did not know a file, and nothing else."),
    (
        "Visually distinct is a count by the same method.",
        "It joins what is alike by frames, over several steps if need be; it says nothing of what pictures show.",
    ),
    (
        "Times are as their source records them.",
        "Whoever runs a machine can set them. They are printed in UTC; archives record local time without a zone.",
    ),
    (
        "Deleted files may be mixed.",
        "Their blocks can have been given to other files since; a digest found in a list shows that they were not.",
    ),
    ("A name says little.", "Who gave it, and who opened the file, is not shown by a file system's entry."),
)
VARIANTS = {
    "plain": "as it is",
    "mirrored": "mirrored",
    "cropped": "without its dark bars",
    "cropped_mirrored": "without its dark bars, mirrored",
}
METHOD_NAMES = {"sha256": "SHA-256", "sha1": "SHA-1", "md5": "MD5", "pdq": "frames (PDQ)"}


def trial(method_trial: str) -> str:
    """What was tried, from method_error's trial."""
    if method_trial == "decoy":
        return "unrelated hashes (decoys)"
    return escaped(method_trial.removeprefix("spike: "))


def category(one: Listed, value: str | None) -> str:
    """What a list reports an entry as, with the scheme that gives the number its meaning."""
    if one.kind == "benign":
        return "listed there as known harmless"
    if value is None:
        return "reported there without a category"
    return f"reported there as {told_category(one.scheme, value)}"


def hit(one: Listed, found: Hit, media: str | None) -> str:
    """One match as a sentence of its level."""
    entry = f"entry {found.row} of list {one.title}"
    if not found.near:
        return f"Identical file by {METHOD_NAMES[found.method]} to {entry}; {category(one, found.category)}."
    noun = "video" if media == "video" else "image"
    searchable = counted(found.of_frames or 0, "searchable frame")
    variant = VARIANTS.get(found.variant or "", "variant not recorded")
    return (
        f"Same {noun} by {found.frames or 0:,} of {searchable} as {entry}: nearest pair "
        f"at distance {found.distance}, quality {found.quality}, {variant}; {category(one, found.category)}."
    )


def methods(lists: Sequence[Listed]) -> list[str]:
    """Methods for which any list has entries."""
    return [method for method in METHODS if any(one.entries_by[method] for one in lists)]


def unknown(lists: Sequence[Listed]) -> str:
    """What `unknown` means here."""
    if not lists:
        return "No hash list was compared: nothing is said of known and unknown."
    material = "; ".join(one.title for one in lists if one.kind == "material") or "none of reported material"
    benign = "; ".join(one.title for one in lists if one.kind == "benign")
    by = "; ".join(METHODS[method] for method in methods(lists))
    return (
        f"Unknown to the lists {material}"
        + (f"; and to the lists of harmless files {benign}" if benign else "")
        + (f"; by the methods {by}.")
    )


def not_searched(figures: Mapping[str, Figure], lists: Sequence[Listed]) -> list[str]:
    """What the methods could not find here, each with its number."""
    told = [
        "Pictures that were cropped (other than dark bars), turned, overlaid or shown inside another picture: PDQ "
        "misses most of these. The measured misses stand in the table of errors.",
        "Sound, text and the content of documents: not looked at.",
    ]
    for one in lists:
        kinds = ", ".join(f"{escaped(kind)} {count:,}" for kind, count in one.unmatchable.items() if count)
        if kinds:
            told.append(f"List {one.title}: entries with nothing that can be compared here: {kinds}.")
        if one.kind == "material" and not one.entries_by["pdq"]:
            told.append(f"List {one.title} holds no PDQ hashes: only identical files can be found by it.")
    told += [figures[name].sentence for name in _GAPS if name in figures and figures[name].value]
    told += [
        figure.sentence
        for name, figure in figures.items()
        if name.startswith(("unfingerprinted.", "files.skipped.", "files.unreadable."))
        and name.split(".")[-1] not in ("unique", "identical", "near", "benign", "unknown", "empty")
        and figure.value
    ]
    return told


_GAPS = (
    "media.not_searchable",
    "frames.poor",
    "videos.sampled.keyframes",
    "videos.sampled.failed",
    "unfingerprinted.unique",
    "archives.refused",
    "folders.unreadable",
    "files.deleted",
)
