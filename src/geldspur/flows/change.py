"""Which output of a two-output transaction returns to the payer: signs, counted.

Each sign abstains unless exactly one output qualifies. Definitions follow M. Moeser and A. Narayanan,
Resurrecting Address Clustering in Bitcoin (FC 2022), and BlockSci's change_address.cpp.
"""

from dataclasses import dataclass

from geldspur.flows.services import ServiceMap
from geldspur.ledger import NO_SCRIPT, Ledger
from geldspur.wallets import Wallets

ROUND_SAT = 10_000


@dataclass(frozen=True, slots=True)
class ChangeGuess:
    """The output row that the signs favour; `signs` speak for it, `against` for the other output."""

    output: int
    other: int
    signs: tuple[str, ...]
    against: tuple[str, ...]

    @property
    def margin(self) -> int:
        """How many more signs speak for the output than against it."""
        return len(self.signs) - len(self.against)


class ChangeSigns:
    """Reads the signs of change from one ledger, one edition of wallets and one of tags."""

    def __init__(self, ledger: Ledger, wallets: Wallets, services: ServiceMap) -> None:
        self.ledger = ledger
        self.wallets = wallets
        self.services = services

    def guess(self, tx: int) -> ChangeGuess | None:
        """The output that most signs favour; None without two spendable outputs or with no sign."""
        ledger = self.ledger
        outputs = [
            o
            for o in range(int(ledger.tx_out[tx]), int(ledger.tx_out[tx + 1]))
            if int(ledger.out_script[o]) != NO_SCRIPT
        ]
        if len(outputs) != 2:
            return None
        votes: tuple[list[str], list[str]] = ([], [])
        for sign, first, second in self._signs(tx, outputs[0], outputs[1]):
            if first != second:
                votes[0 if first else 1].append(sign)
        if not votes[0] and not votes[1]:
            return None
        k = 0 if len(votes[0]) >= len(votes[1]) else 1
        return ChangeGuess(outputs[k], outputs[1 - k], tuple(votes[k]), tuple(votes[1 - k]))

    def _signs(self, tx: int, a: int, b: int) -> list[tuple[str, bool, bool]]:
        """(name of the sign, does the first output show it, does the second)."""
        ledger = self.ledger
        spent = ledger.spent_by_tx(tx)
        value = ledger.out_value
        signs = [
            ("payee's amount is round", value[a] % ROUND_SAT != 0, value[b] % ROUND_SAT != 0),
            ("address not seen before", self._fresh(a), self._fresh(b)),
            ("other output goes to a service", self._unnamed(a), self._unnamed(b)),
        ]
        types = {self._type(row) for row in spent}
        if len(types) == 1:
            signs.append(("same script type as all inputs", self._type(a) in types, self._type(b) in types))
        if len(spent) > 1:
            least = min(int(value[row]) for row in spent)
            signs.append(("smaller than every input", value[a] < least, value[b] < least))
        habit = self._habits(tx)
        next_a, next_b = self._spender(a), self._spender(b)
        if next_a is not None and next_b is not None:
            # Version, lock time and sequence come from one program: agreeing in all of them is one sign.
            signs.append(("spent in the payer's manner", self._habits(next_a) == habit, self._habits(next_b) == habit))
        payer = self.wallets.payer(tx)
        if payer is not None:
            signs.append(("in the payer's wallet", self._wallet(a) == payer, self._wallet(b) == payer))
        return [(name, bool(x), bool(y)) for name, x, y in signs]

    def _type(self, row: int) -> int:
        return int(self.ledger.script_type[int(self.ledger.out_script[row])])

    def _wallet(self, row: int) -> int:
        return int(self.wallets.wallet[int(self.ledger.out_script[row])])

    def _fresh(self, row: int) -> bool:
        return int(self.ledger.outputs_of(int(self.ledger.out_script[row]))[0]) == row

    def _unnamed(self, row: int) -> bool:
        return self.services.of_script(int(self.ledger.out_script[row])) is None

    def _spender(self, row: int) -> int | None:
        spender = self.ledger.spender_of(row)
        return None if spender is None else self.ledger.tx_of_input(spender)

    def _habits(self, tx: int) -> tuple[int, bool, int]:
        """Version, whether a lock time is set, sequence of the first input."""
        ledger = self.ledger
        first = int(ledger.tx_in[tx])
        return int(ledger.tx_version[tx]), int(ledger.tx_locktime[tx]) > 0, int(ledger.in_sequence[first])
