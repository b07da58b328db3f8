"""The number chain: files → readable → unique by bytes → media → visually distinct → known to a list → unknown.

Each figure comes from one query over the scan's tables as schema.sql describes them; anybody can run it again with
`sqlite3 scan.sqlite`. Figures that must add up come from queries of their own, not from each other.
"""

from collections.abc import Sequence

from geldspur.evidence.report.count_contents import (
    count_contents,
    count_distinct,
    count_levels,
    count_near,
    count_sampling,
)
from geldspur.evidence.report.count_files import count_files
from geldspur.evidence.report.count_lists import count_errors, count_list
from geldspur.evidence.report.figures import Counter, Difference, Figure, Sum, check_sums, differences
from geldspur.evidence.report.lists import listed
from geldspur.evidence.store import ScanStore


def numbers(store: ScanStore) -> list[Figure]:
    """All figures of a finished scan, in the order of the report.

    Without a list that was compared there are no figures of known and unknown; without a comparison of the scan's
    media with each other, none of what is visually distinct.

    Raises:
        GeldspurError: a sum does not close; the message says which and by how much.
    """
    counter = Counter(store.db)
    sums: list[Sum] = [*count_files(counter, store.db), *count_contents(counter, store.db)]
    check_sums(counter.figures, sums)
    lists = listed(store.db)
    sums = list(count_sampling(counter))
    if was_matched(store):
        sums += count_distinct(counter)
    if lists:
        sums += [*count_levels(counter), *count_near(counter)]
    for one in lists:
        count_list(counter, store.db, one)
    count_errors(counter, store.db)
    check_sums(counter.figures, sums)
    return list(counter.figures.values())


def was_matched(store: ScanStore) -> bool:
    """Whether the scan's media were compared with each other."""
    sql = "SELECT EXISTS (SELECT 1 FROM cluster) OR EXISTS (SELECT 1 FROM log WHERE event ->> '$.kind' = 'matched')"
    return bool(store.db.execute(sql).fetchone()[0])


def recheck(store: ScanStore, figures: Sequence[Figure]) -> list[Difference]:
    """What of stated figures (of a report.json, say) the scan's database does not bear out; empty where all holds.

    Every query is run again as this program asks it, and a stated query must be the same: a forged pair of query and
    value does not pass, and no text of a report is ever run.
    """
    return differences(numbers(store), figures)
