"""Where the program is held against the truth: cases with known owners, and a scorer for what was claimed.

A case is a chain whose every address, payment and path has a known owner. `write_inputs` lets out of it only
what an investigator would start from; `score` compares what the program then claimed with the truth, `render`
prints the comparison with every error by name, and `measure_rates` turns it into rates of the rules. No other
room may read a truth table. The demo, in `demo`, goes the whole way on a case that the package carries.
"""

from geldspur.accuracy.case import Case, open_case
from geldspur.accuracy.fixture import unpack_case
from geldspur.accuracy.inputs import write_inputs
from geldspur.accuracy.rates import measure_rates
from geldspur.accuracy.score import Score, score
from geldspur.accuracy.terminal import render

__all__ = [
    "Case",
    "Score",
    "measure_rates",
    "open_case",
    "render",
    "score",
    "unpack_case",
    "write_inputs",
]
