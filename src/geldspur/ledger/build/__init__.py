"""Building a ledger and keeping it current: blocks in order of height, decoded, linked, written as columns.

`index` does whatever brings the ledger to the source's best chain: a first build, going on with one that was
stopped, appending, or rolling back over a reorg.
"""

from geldspur.ledger.build.plan import IndexReport, index

__all__ = ["IndexReport", "index"]
