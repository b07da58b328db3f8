"""The report's fixed sentences.

Every sentence is a fact, an inference or an attribution, or speaks about the report itself; none says more
than the rules can bear. `tests/leads/test_wording.py` reads them all.
"""

from geldspur.flows import StopKind
from geldspur.leads.schema import Band, Layer

STANDING = (
    "Investigative lead, not proof of guilt. Everybody is presumed innocent until a final judgment. "
    "Control of an address is not identity."
)
NOT_REVIEWED = "not reviewed"

LAYERS = {
    Layer.FACT: "read from the ledger; anybody with the same blocks reads the same",
    Layer.INFERENCE: "a rule applied to facts; it can be wrong, at the error rate given with the rule",
    Layer.ATTRIBUTION: "what a source says about an address, with the grade that the source gives itself",
}

BANDS = {
    Band.STRONG: "a transaction of a wallet attributed to the service pays the site itself",
    Band.MODERATE: "a service is named by way of inferences, each stated with its rule",
    Band.WEAK: "sources disagree, or a step can't bear the claim; for internal use, never in a package",
    Band.NONE: "no service is named; the stop says why",
}

STOPS = {
    StopKind.SERVICE: (
        "attributed service",
        "The trail reaches a wallet attributed to a service. Nothing is followed through a service: who "
        "holds which account is in its records, not in the ledger.",
    ),
    StopKind.MIXER: (
        "mixer",
        "The trail reaches a wallet attributed to a mixing service. What goes in can't be matched with what comes out.",
    ),
    StopKind.COINJOIN: (
        "CoinJoin",
        "The transaction has equal outputs, as where several parties sign together. Any of them may have received "
        "any output, so nothing is claimed through it.",
    ),
    StopKind.PAYJOIN: (
        "possible PayJoin",
        "Payer and payee may both have signed this transaction. Its inputs are not held to be one wallet.",
    ),
    StopKind.COINBASE: (
        "newly mined",
        "The money was created in a block. There is no earlier transaction.",
    ),
    StopKind.HUB: (
        "untagged hub",
        "The wallet is so busy that it may serve many people. It is treated like a service that no source has named.",
    ),
    StopKind.AMBIGUOUS: (
        "ambiguous",
        "Several continuations fit the facts, and none of the rules singles one out.",
    ),
    StopKind.DUST: (
        "dust",
        "The amount is below the printed threshold. Anybody can send such an amount to anybody.",
    ),
    StopKind.BUDGET: (
        "search limit",
        "The search reached its limit of transactions. What lies beyond was not looked at.",
    ),
    StopKind.EDGE: (
        "edge of the ledger",
        "The trail leaves the blocks that were indexed. What lies beyond is unknown, not absent.",
    ),
}

ACCOUNT = (
    "Account holder unknown. The payer may be a customer of a seller or of another third party "
    "(person-to-person sale, over-the-counter desk, hosted account, payment processor); then the service's "
    "account is that third party's."
)
CASHOUT_ACCOUNT = (
    "Account holder unknown. The deposit may have been made to the account of somebody who was paid by the "
    "site's operator, and not by the operator."
)
AGAINST_NONE_FOUND = "None found in the checks listed under \u201cother explanations\u201d."
AGAINST_NONE_CHECKED = "None checked."

REQUEST_ASKS = (
    "Which account made this withdrawal, and which data were collected when it was opened?",
    "Is the account that of a person, a business, a hosted-account customer or another service?",
    "Which other addresses did the account pay to or receive from, and when?",
    "Which log-ins (UTC time, IP address) and which funding of the account are on record around this time?",
)
REQUEST_ASKS_CASHOUT = (
    "Which account was this deposit credited to, and which data were collected when it was opened?",
    "Is the account that of a person, a business, a hosted-account customer or another service?",
    "What was done with the money (conversion, pay-out, further transfers), and when?",
    "Which log-ins (UTC time, IP address) are on record around this time?",
)
LEGAL_BASIS = "Legal basis: to be entered by the requesting authority."

TAGS_CHANGE = (
    "What is known about services changes over time. This report stands on the tags of the edition named "
    "here; later tags can name more services, and can correct these."
)

LIMITS = (
    (
        "A service is not a person.",
        "A lead says from which service the money of a payment came. It does not say who held the account, "
        "who asked for the withdrawal, or who used the site.",
    ),
    (
        "Tags are statements of their sources.",
        "They can be wrong, old or incomplete. A service that no source has named looks like any other "
        "wallet. The grade of a tag is the source's own word, not a probability.",
    ),
    (
        "Wallets are inferred.",
        "Co-spend holds addresses that sign one transaction to be one wallet. Several parties can sign "
        "together (CoinJoin, PayJoin, shared custody). Known patterns are refused and listed; an unknown "
        "one would be taken for one wallet.",
    ),
    (
        "Sole-source steps do not show ownership.",
        "They say that all money of a transaction came from one service within the stated number of "
        "transactions. It may have changed hands in between.",
    ),
    (
        "Change is a reading of signs.",
        "Where a path follows change, signs of the transaction's form point to one output as the payer's own. "
        "They can point to the wrong one; then the path follows somebody else's money.",
    ),
    (
        "Bands follow rules.",
        "No calibrated probability is given until one has been measured. A rate that was measured on "
        "simulated chains can be lower on real ones.",
    ),
    (
        "Coins are not marked.",
        "Where a transaction has several inputs, the share of an output that came from each is a "
        "convention of accounting, not an observation.",
    ),
    (
        "Times are those of blocks.",
        "A block's time is set by its miner and can be off by up to two hours; the transaction was made earlier.",
    ),
    (
        "The ledger ends at the snapshot.",
        "Later blocks are not in it, and the last few blocks of a snapshot can still be replaced.",
    ),
)
