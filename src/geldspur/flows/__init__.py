"""Where money came from and where it went.

Backward: from a payment through the payer's transactions to the service that the money was withdrawn from, or
to a typed stop. Forward: from the site's sweeps to deposits at services, payouts and refunds. Nothing is ever
followed through a CoinJoin, a quarantined PayJoin or a service's wallet.
"""

from geldspur.flows.backward import BackwardTracer, Origin, Step, StopKind
from geldspur.flows.change import ChangeGuess, ChangeSigns
from geldspur.flows.forward import Deposit, ForwardFlows, ForwardTracer, Paid
from geldspur.flows.services import Service, ServiceMap

__all__ = [
    "BackwardTracer",
    "ChangeGuess",
    "ChangeSigns",
    "Deposit",
    "ForwardFlows",
    "ForwardTracer",
    "Origin",
    "Paid",
    "Service",
    "ServiceMap",
    "Step",
    "StopKind",
]
