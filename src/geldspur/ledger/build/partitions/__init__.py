"""Linking by way of the disk: for chains whose tables would not fit the memory that a build may use.

Each transaction, outpoint and script goes to one of up to 128 partitions by its hash; a partition is matched by
itself in little memory, and what it found is replayed in ledger order. The columns written are the same as those
of linking in memory.
"""

from geldspur.ledger.build.partitions.deal import Dealer
from geldspur.ledger.build.partitions.match import match_inputs, match_scripts
from geldspur.ledger.build.partitions.replay import ReplayFault, replay_inputs, replay_scripts

__all__ = ["Dealer", "ReplayFault", "match_inputs", "match_scripts", "replay_inputs", "replay_scripts"]
