"""The grounds of a claim: the chains of co-spends that tie addresses to tags and to each other."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from geldspur.bitcoin.scripts import ScriptType
from geldspur.flows import Service, Step
from geldspur.leads.schema import Inference, Join, TagRef
from geldspur.ledger import Ledger
from geldspur.rules import rule
from geldspur.tags import Tag, TagEdition
from geldspur.wallets import Chain, JoinSearch, Wallets


class Grounds:
    """Finds and words the joins that leads rest on; one search a service, however many leads it has."""

    def __init__(self, ledger: Ledger, wallets: Wallets, tags: TagEdition) -> None:
        self.ledger = ledger
        self.wallets = wallets
        self.search = JoinSearch(ledger, wallets)
        self._tagged: dict[tuple[str, int], dict[int, Tag]] = defaultdict(dict)
        for tag in sorted(tags.tags, key=lambda t: (t.confidence_level, t.pack, t.address)):
            script = ledger.script_index(ScriptType(tag.script_type), tag.payload)
            if script is not None:
                self._tagged[(tags.service_of(tag), int(wallets.wallet[script]))][script] = tag
        self._chains: dict[int, Chain] = {}

    def prepare(self, wanted: Iterable[tuple[Service, int]]) -> None:
        """Search the chains from each service's tagged scripts to the scripts that leads will ask for."""
        by_wallet: dict[tuple[str, int], set[int]] = defaultdict(set)
        for service, script in wanted:
            by_wallet[(service.name, int(self.wallets.wallet[service.script]))].add(script)
        for key in sorted(by_wallet):
            self._chains |= self.search.between(self._tagged[key], by_wallet[key])

    def tag_join(self, service: Service, scripts: list[int]) -> tuple[Tag, Join | None]:
        """The tag nearest to any of the scripts, and the chain from it; no chain where one is tagged itself."""
        chains = [self._chains[s] for s in scripts if s in self._chains]
        if not chains:
            return service.tag, None
        chain = min(chains, key=lambda c: (len(c.transactions), c.scripts))
        tag = self._tagged[(service.name, int(self.wallets.wallet[service.script]))][chain.scripts[0]]
        return tag, self.join(chain) if chain.transactions else None

    def step_join(self, earlier: int, spent_output: int) -> Join | None:
        """Why the wallet that made transaction `earlier` also holds the output it paid on to."""
        target = int(self.ledger.out_script[spent_output])
        signers = self.wallets.input_scripts(earlier)
        if target in signers:
            return None
        chain = self.search.between(signers, [target]).get(target)
        return self.join(chain) if chain else None

    def join(self, chain: Chain) -> Join:
        """A chain in the form that files and reports use."""
        names = [self.ledger.script_name(s) for s in chain.scripts]
        return Join(
            from_address=names[0], to_address=names[-1], rule="co-spend",
            transactions=[self.ledger.txid(t) for t in chain.transactions], addresses=names,
        )  # fmt: skip

    def inferences(self, path: tuple[Step, ...], tag_join: Join | None, extra: Iterable[str] = ()) -> list[Inference]:
        """Every rule that a path rests on, once each, with the joins that it needs."""
        joins = [tag_join] if tag_join else []
        for earlier, step in pairwise(path):
            if step.rule == "co-spend" and (found := self.step_join(earlier.tx, earlier.vout_row)):
                joins.append(found)
        used = dict.fromkeys(step.rule for step in path if step.rule and step.rule != "spend")
        used |= dict.fromkeys(extra)
        if joins:
            used.setdefault("co-spend")
        return [cite(rule_id, joins if rule_id == "co-spend" else []) for rule_id in sorted(filter(None, used))]


def cite(rule_id: str, joins: list[Join]) -> Inference:
    """A rule as a lead cites it."""
    cited = rule(rule_id)
    return Inference(
        rule=cited.id,
        version=cited.version,
        parameters=dict(cited.parameters),
        error_rate=cited.error_rate,
        joins=joins,
    )


def tag_ref(tag: Tag) -> TagRef:
    """A tag as a lead cites it."""
    return TagRef(
        address=tag.address, label=tag.label, actor=tag.actor, category=tag.category, pack=tag.pack,
        creator=tag.creator, source=tag.source,
        confidence=tag.confidence, confidence_level=tag.confidence_level, lastmod=tag.lastmod,
    )  # fmt: skip
