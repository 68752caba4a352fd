"""What a check is: one class in one file, with its documentation, thresholds and criterion.

A check is called with a `Run`, a `ComparisonCheck` with the `Sides` of a comparison; both yield `Finding`s. No finding
is *pass*; `NotEnoughEvidence` is *inconclusive* and `NotApplicable` is *skipped*, each with its reason; any other
exception is *error*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any, ClassVar, Final, Literal, TypeVar

from flightcheck.frozen import frozen
from flightcheck.recording.records import Location
from flightcheck.recording.run import NotApplicable, NotEnoughEvidence, Run
from flightcheck.recording.sides import Sides
from flightcheck.recording.signals import Signal

__all__ = [
    "SEVERITIES",
    "AnyCheck",
    "Check",
    "CheckInfo",
    "ComparisonCheck",
    "Finding",
    "NotApplicable",
    "NotEnoughEvidence",
    "Param",
    "Severity",
    "Status",
    "Verdict",
    "check",
    "run_check",
]  # fmt: skip

Severity = Literal["info", "warn", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warn", "error", "critical")
Status = Literal["fail", "pass", "inconclusive", "skipped", "error"]
EvidenceClass = Literal["X", "B", "T", "H"]
"""X exact fact, B bound or identity, T statistical test, H heuristic (catalogue section 2)."""

SECTIONS: Final = {
    "S": "Start simple",
    "L": "Confirm your loss",
    "C": "Check intermediate outputs and connections",
    "P": "Diagnose parameters",
    "T": "Track your work",
    "D": "Data",
}
HEADINGS: Final = ("What it checks", "Why it matters", "How to fix", "Source", "Known false alarms")


@frozen
class Param:
    """A threshold of a check: its value, and the reason for it."""

    value: float
    reason: str


@frozen
class Finding:
    """One fault that a check saw."""

    message: str
    """Place, step, measured value and limit, in one or two sentences a user understands."""
    location: Location | None = None
    module: str = ""
    """Dotted path of the module concerned, if there is one."""
    evidence: dict[str, Any] = field(default_factory=dict)
    onset_step: int = 0
    """First step at which the fault was there; 0 if it was there before the first step."""
    severity: Severity | None = None
    """Lower (never higher) than the check's own, where this case deserves less."""
    fix: str = ""
    """The fix in this very case; the check's general text if empty."""
    patch: str = ""
    """The declarative patch that would prove the fix, for example ``drop-module:softmax``."""
    parameters: tuple[int, ...] = ()
    """Indices of the parameters concerned: the locus of the finding."""


@frozen
class CheckInfo:
    """What a check declares of itself."""

    code: str
    name: str
    severity: Severity
    evidence: EvidenceClass
    needs: tuple[Signal | str, ...]
    fix: str
    preview: bool
    patch: str
    summary: str
    documentation: str
    parameters: dict[str, Param]
    compares: bool = False
    """It is asked about several runs, by ``flightcheck compare``, and never about one alone."""

    @property
    def section(self) -> str:
        return SECTIONS[self.code[0]]


class AnyCheck:
    """What all checks have. Subclasses are decorated with `check` and define ``__call__``."""

    info: ClassVar[CheckInfo]

    def __call__(self, subject: Any) -> Iterator[Finding]:
        raise NotImplementedError


class Check(AnyCheck):
    """Base of the checks of one run."""

    def __call__(self, run: Run) -> Iterator[Finding]:
        raise NotImplementedError


class ComparisonCheck(AnyCheck):
    """Base of the checks that see two runs, each with the repetitions of it that were found."""

    def __call__(self, sides: Sides) -> Iterator[Finding]:
        raise NotImplementedError


C = TypeVar("C", bound=type[AnyCheck])


def check(
    code: str,
    name: str,
    *,
    severity: Severity,
    evidence: EvidenceClass,
    fix: str,
    needs: tuple[Signal | str, ...] = (),
    preview: bool = False,
    patch: str = "",
) -> Callable[[C], C]:
    """Declare a check: code, kebab-case name of the fault, severity, evidence class, the fix in one sentence."""

    def declare(cls: C) -> C:
        documentation = re.sub(r"(?m)^    ", "", (cls.__doc__ or "").strip())
        cls.info = CheckInfo(
            code=code,
            name=name,
            severity=severity,
            evidence=evidence,
            needs=needs,
            fix=fix,
            preview=preview,
            patch=patch,
            summary=documentation.split("\n", 1)[0],
            documentation=documentation,
            parameters={k: v for k, v in vars(cls).items() if isinstance(v, Param)},
            compares=issubclass(cls, ComparisonCheck),
        )
        return cls

    return declare


@frozen
class Verdict:
    """The result of one check on one run."""

    info: CheckInfo
    status: Status
    reason: str = ""
    findings: tuple[Finding, ...] = ()


def run_check(cls: type[AnyCheck], subject: Run | Sides) -> Verdict:
    """Apply one check, to a run or to the sides of a comparison.

    Never raises: an exception of the check becomes the verdict *error*.
    """
    findings: list[Finding] = []
    verdict = Verdict(cls.info, "pass")
    try:
        findings.extend(cls()(subject))
    except NotEnoughEvidence as e:
        verdict = Verdict(cls.info, "inconclusive", str(e))
    except NotApplicable as e:
        verdict = Verdict(cls.info, "skipped", str(e))
    except Exception as e:  # the promise: no exception of ours reaches the user
        return Verdict(cls.info, "error", f"{type(e).__name__}: {e}")
    # Of one model there may be enough evidence, and of another one not: what was found stands.
    return Verdict(cls.info, "fail", "", tuple(findings)) if findings else verdict


def effective_severity(info: CheckInfo, finding: Finding) -> Severity:
    """The finding's severity: never above its check's; a check in preview is never above info."""
    if info.preview:
        return "info"
    if finding.severity is None:
        return info.severity
    return min(finding.severity, info.severity, key=SEVERITIES.index)
