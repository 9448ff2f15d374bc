"""The scheduler: a pure decision over queue, running jobs and inventory, and a simulation over the same code."""

from gradwire.services.scheduling.decisions import (
    Code,
    Decision,
    Grow,
    Holder,
    Limit,
    Pause,
    Shrink,
    Start,
    Stop,
    Wait,
)
from gradwire.services.scheduling.model import (
    Account,
    Inventory,
    Node,
    Policy,
    Quota,
    Running,
    Shape,
    Waiting,
)
from gradwire.services.scheduling.passes import decide
from gradwire.services.scheduling.reasons import never

__all__ = [
    "Account",
    "Code",
    "Decision",
    "Grow",
    "Holder",
    "Inventory",
    "Limit",
    "Node",
    "Pause",
    "Policy",
    "Quota",
    "Running",
    "Shape",
    "Shrink",
    "Start",
    "Stop",
    "Wait",
    "Waiting",
    "decide",
    "never",
]
