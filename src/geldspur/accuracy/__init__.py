"""Where the program is held against the truth: cases with known owners, and a scorer for what was claimed.

A case is a chain whose every address, payment and path has a known owner. `write_inputs` lets out of it only
what an investigator would start from; `score` compares what the program then claimed with the truth. No other
room may read a truth table.
"""

from geldspur.accuracy.case import Case, open_case
from geldspur.accuracy.fixture import unpack_case
from geldspur.accuracy.inputs import write_inputs
from geldspur.accuracy.score import Score, score

__all__ = ["Case", "Score", "open_case", "score", "unpack_case", "write_inputs"]
