"""Which scripts one owner controls, and why.

Scripts that sign one transaction together are joined, unless the transaction could be a CoinJoin or a PayJoin
or would join two services. Every transaction keeps its verdict, so that the chain of transactions between two
addresses can be shown, and joins that were refused are kept and counted.
"""

from geldspur.wallets.build import Wallets, WalletsReport, build_wallets, edition_of, service_of_scripts
from geldspur.wallets.joins import Chain, JoinSearch, refused_between
from geldspur.wallets.verdicts import REFUSED, Verdict

__all__ = [
    "REFUSED",
    "Chain",
    "JoinSearch",
    "Verdict",
    "Wallets",
    "WalletsReport",
    "build_wallets",
    "edition_of",
    "refused_between",
    "service_of_scripts",
]
