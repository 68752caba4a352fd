"""The checklist for debugging neural networks, as a program: one root cause, the line of code, and the fix.

``flightcheck check train.py`` watches the first steps of a training without a change to it. From code:
``with flightcheck.watch(): …``, or ``flightcheck.check(model, loss_fn, batches, optimizer)``; ``flightcheck.view(model,
batch)`` looks inside. Importing this package imports no framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flightcheck.checks.base import Finding as Finding
    from flightcheck.checks.base import Verdict as Verdict
    from flightcheck.checks.registry import run_checks as run_checks
    from flightcheck.diagnosis.engine import Diagnosis as Diagnosis
    from flightcheck.diagnosis.engine import diagnose as diagnose
    from flightcheck.in_process import Checked as Checked
    from flightcheck.in_process import check as check
    from flightcheck.recording.metrics import log as log
    from flightcheck.recording.run import Run as Run
    from flightcheck.report.notebook import Report as Report
    from flightcheck.session import watch as watch
    from flightcheck.viewing import Film as Film
    from flightcheck.viewing import View as View
    from flightcheck.viewing import view as view

_HOME = {
    "watch": "flightcheck.session",
    "check": "flightcheck.in_process",
    "view": "flightcheck.viewing",
    "View": "flightcheck.viewing",
    "Film": "flightcheck.viewing",
    "Checked": "flightcheck.in_process",
    "Run": "flightcheck.recording.run",
    "Report": "flightcheck.report.notebook",
    "log": "flightcheck.recording.metrics",
    "run_checks": "flightcheck.checks.registry",
    "diagnose": "flightcheck.diagnosis.engine",
    "Diagnosis": "flightcheck.diagnosis.engine",
    "Finding": "flightcheck.checks.base",
    "Verdict": "flightcheck.checks.base",
}
__all__ = [
    "Checked", "Diagnosis", "Film", "Finding", "Report", "Run", "Verdict", "View", "check", "diagnose", "log",
    "run_checks", "view", "watch",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
