"""What the pages of volumes, addresses, load balancers and tags share: dialogs, what they answer,
and pages of one.
"""

from recycle.views.resources.detail import show_detail
from recycle.views.resources.dialog import (
    Bound,
    Dialog,
    add_reasons,
    ask,
    limits,
    report,
    report_made,
    report_made_already,
)
from recycle.views.resources.suggestions import suggest

__all__ = [
    "Bound",
    "Dialog",
    "add_reasons",
    "ask",
    "limits",
    "report",
    "report_made",
    "report_made_already",
    "show_detail",
    "suggest",
]
