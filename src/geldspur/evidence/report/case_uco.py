"""Actions, lists and hits as a CASE/UCO graph (JSON-LD), written object by object.

Validating a graph takes about a minute a thousand files, so the inventory is not part of it: files.csv is, by its
digest. Ids are UUIDs made from what they stand for (RFC 4122, version 5): the same scan gives the same graph.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from geldspur.evidence.report import words
from geldspur.evidence.report.document import State
from geldspur.evidence.report.lists import Listed
from geldspur.evidence.report.rows import Row, Rows, utc
from geldspur.wording import counted

_UCO = "https://ontology.unifiedcyberontology.org/uco"
_CONTEXT = {
    "kb": "http://example.org/kb/",
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    **{f"uco-{part}": f"{_UCO}/{part}/" for part in ("action", "core", "observable", "tool", "types")},
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_ACTION = {"begun": "scan", "resumed": "scan, resumed", "matched": "match"}
_HASH_NAMES = {"sha256": "SHA256", "sha1": "SHA1", "md5": "MD5"}

Node = dict[str, Any]


def write_case(
    path: Path,
    rows: Rows,
    lists: Mapping[int, Listed],
    state: State,
    about: Mapping[str, str],
    files: Mapping[str, str],
) -> None:
    """The graph. `files` are the report's own files that it cites, each with its SHA-256 in hexadecimal."""
    with path.open("w", encoding="ascii", newline="") as file:
        file.write('{"@context": ' + json.dumps(_CONTEXT, indent=1) + ',\n"@graph": [')
        for number, node in enumerate(_nodes(rows, lists, state, about, files)):
            file.write(("," if number else "") + "\n" + json.dumps(node, ensure_ascii=True, separators=(",", ":")))
        file.write("\n]}\n")


def _nodes(
    rows: Rows, lists: Mapping[int, Listed], state: State, about: Mapping[str, str], files: Mapping[str, str]
) -> Iterator[Node]:
    def iri(kind: str, *key: object) -> str:
        return f"kb:{kind}-{uuid5(NAMESPACE_URL, '|'.join(map(str, ('geldspur', state.log_hash, kind, *key))))}"

    tool = iri("Tool")
    yield {
        "@id": tool, "@type": "uco-tool:Tool", "uco-core:name": "Geldspur", "uco-tool:version": about.get("tool", ""),
    }  # fmt: skip
    source = iri("ObservableObject", "source")
    yield {
        "@id": source, "@type": "uco-observable:ObservableObject",
        "uco-core:description": f"The source that was scanned: {about.get('source_kind', 'kind not recorded')}.",
    }  # fmt: skip
    for name, sha256 in sorted(files.items()):
        yield _file(iri, ("report", name), name, None, {"sha256": sha256})
    for one in lists.values():
        told = f"{one.kind} list, format {one.format}, {one.title}, {counted(one.entries, 'entry', 'entries')}"
        yield _file(iri, ("list", one.sha256.hex()), one.file_name, None, {"sha256": one.sha256.hex()}, told)
    inventory = iri("ObservableObject", "report", "files.csv")
    yield from _actions(
        iri,
        state,
        tool,
        source,
        [iri("ObservableObject", "list", one.sha256.hex()) for one in lists.values()],
        inventory,
    )
    for row in rows.contents("report_level.level IN ('identical', 'near')"):
        yield from _known(iri, rows, row, lists)


def _actions(
    iri: Callable[..., str], state: State, tool: str, source: str, lists: list[str], inventory: str
) -> Iterator[Node]:
    for number, event in enumerate(event for event in state.events if event["kind"] in _ACTION):
        matched = event["kind"] == "matched"
        yield {
            "@id": iri("InvestigativeAction", number),
            "@type": "case-investigation:InvestigativeAction",
            "uco-core:name": _ACTION[event["kind"]],
            "uco-core:description": f"Record {event['seq']} of the scan's log.",
            "uco-action:endTime" if matched else "uco-action:startTime": _time(event["time"]),
            "uco-action:instrument": _ref(tool),
            "uco-action:object": [_ref(node) for node in ([source, *lists] if matched else [source])],
            "uco-action:result": _ref(inventory),
        }


def _known(iri: Callable[..., str], rows: Rows, row: Row, lists: Mapping[int, Listed]) -> Iterator[Node]:
    assert row.content is not None and row.sha256 is not None and row.sha1 is not None and row.md5 is not None
    key = ("content", row.sha256.hex(), row.size)
    digests = {"sha256": row.sha256.hex(), "sha1": row.sha1.hex(), "md5": row.md5.hex()}
    yield _file(iri, key, rows.name(row), row, digests)
    for hit in rows.hits(row.content):
        one = lists[hit.list]
        yield {
            "@id": iri("ObservableRelationship", *key, one.sha256.hex(), hit.method, hit.row),
            "@type": "uco-observable:ObservableRelationship",
            "uco-core:source": _ref(iri("ObservableObject", *key)),
            "uco-core:target": _ref(iri("ObservableObject", "list", one.sha256.hex())),
            "uco-core:kindOfRelationship": "Near_Entry_Of" if hit.near else "Identical_To_Entry_Of",
            "uco-core:isDirectional": True,
            "uco-core:description": words.hit(one, hit, row.media),
        }


def _file(
    iri: Callable[..., str],
    key: tuple[object, ...],
    name: str,
    row: Row | None,
    digests: Mapping[str, str],
    description: str | None = None,
) -> Node:
    facet: Node = {
        "@id": iri("FileFacet", *key), "@type": "uco-observable:FileFacet",
        "uco-observable:fileName": name.rsplit("/", 1)[-1],
    }  # fmt: skip
    if row is not None:
        facet["uco-observable:filePath"] = name
        facet |= {
            f"uco-observable:{field}": _time(text)
            for field, text in (
                ("accessedTime", utc(row.accessed_ns)),
                ("metadataChangeTime", utc(row.changed_ns)),
                ("modifiedTime", utc(row.modified_ns)),
                ("observableCreatedTime", utc(row.born_ns)),
            )
            if text
        }
        facet["uco-observable:sizeInBytes"] = row.size
        facet["uco-observable:allocationStatus"] = "unallocated" if row.deleted else "allocated"
    content = {
        "@id": iri("ContentDataFacet", *key), "@type": "uco-observable:ContentDataFacet",
        "uco-observable:hash": [_hash(iri, key, method, value) for method, value in digests.items()],
    }  # fmt: skip
    node: Node = {
        "@id": iri("ObservableObject", *key), "@type": "uco-observable:File", "uco-core:hasFacet": [facet, content],
    }  # fmt: skip
    return node | ({"uco-core:description": description} if description else {})


def _hash(iri: Callable[..., str], key: Iterable[object], method: str, value: str) -> Node:
    return {
        "@id": iri("Hash", *key, method),
        "@type": "uco-types:Hash",
        "uco-types:hashMethod": _HASH_NAMES[method],
        "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": value.upper()},
    }


def _time(text: str) -> Node:
    return {"@type": "xsd:dateTime", "@value": text}


def _ref(node: str) -> Node:
    return {"@id": node}
