"""The rules of inference: what each one assumes, who described it, how often it was wrong.

A statement that is not a fact of the ledger cites one of these rules. A rule carries its version, its
parameters, the questions that an examiner must ask of it, and the error rate that was measured for it
together with the population it was measured on, or says that none was measured.
"""

from geldspur.rules.registry import RULES, ErrorRate, Rule, rule, ruleset_hash

__all__ = ["RULES", "ErrorRate", "Rule", "rule", "ruleset_hash"]
