"""What all checks say of themselves, without importing them: `list` and `explain` need nothing else.

The file is written by ``make docs`` from the checks, and a test compares. What runs checks asks the registry.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flightcheck.frozen import frozen

if TYPE_CHECKING:
    from flightcheck.checks.base import EvidenceClass, Severity

FILE: Final = Path(__file__).with_name("index.json")


@frozen
class Description:
    """A check in words."""

    code: str
    name: str
    section: str
    severity: Severity
    evidence: EvidenceClass
    preview: bool
    summary: str
    documentation: str
    """In Markdown."""
    thresholds: list[tuple[str, float, str]]
    """Name, value and reason."""


def descriptions() -> list[Description]:
    """All checks in the order of their codes."""
    described: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return [Description(**d) for d in described]
