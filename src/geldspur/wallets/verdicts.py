"""What a transaction's inputs say about their owner."""

from enum import IntEnum

from geldspur.wallets import kernels


class Verdict(IntEnum):
    """The judgement on one transaction, as stored in the `verdict` column."""

    NOTHING = kernels.NOTHING
    """A coinbase, or all inputs spend from one script."""
    CO_SPEND = kernels.CO_SPEND
    """The inputs' scripts are joined."""
    COINJOIN = kernels.COINJOIN
    PAYJOIN = kernels.PAYJOIN
    CONFLICT = kernels.CONFLICT
    """Two services' wallets would have been joined."""
    ONE_WALLET = kernels.ONE_WALLET
    """Looks collaborative, but other transactions join all of its inputs."""

    @property
    def label(self) -> str:
        """The name in files and messages."""
        return self.name.lower().replace("_", "-")


REFUSED = (Verdict.COINJOIN, Verdict.PAYJOIN, Verdict.CONFLICT)
"""Verdicts under which a transaction joins nothing."""
