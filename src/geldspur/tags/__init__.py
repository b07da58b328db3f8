"""Who an address is said to belong to, said by whom, how reliably: TagPacks and ActorPacks of GraphSense.

`add_packs` reads packs into a new edition of a ledger's tags and reports what it left out and why;
`open_tags` opens the edition in use. A tag is one source's word about one address (an attribution, never a
fact) with the source's grade, kept verbatim. An actor is whom tags point to; its jurisdictions say where a
request can go. `ServiceKind` says whether a request can name a customer. How to write a pack, what is checked
and what the grades mean: docs/tags.md.
"""

from geldspur.tags.edition import TagEdition, open_tags
from geldspur.tags.model import Actor, AddReport, Counts, Pack, Problem, Tag
from geldspur.tags.store import add_packs
from geldspur.tags.taxonomy import ServiceKind, kind_of

__all__ = [
    "Actor",
    "AddReport",
    "Counts",
    "Pack",
    "Problem",
    "ServiceKind",
    "Tag",
    "TagEdition",
    "add_packs",
    "kind_of",
    "open_tags",
]
