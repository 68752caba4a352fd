"""Where findings lie in the charts: the step at which each began, and its modules."""

from __future__ import annotations

from flightcheck.checks.base import Finding, Severity
from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.frozen import frozen
from flightcheck.recording.run import Run


@frozen
class Mark:
    """A step at which a finding began."""

    step: int
    code: str
    severity: Severity
    root: bool
    modules: list[int]


def marks(run: Run, diagnosis: Diagnosis) -> list[Mark]:
    """One mark for each code and step of a finding that is more than a note, in the order of the steps."""
    found: dict[tuple[int, str], Mark] = {}
    for f in diagnosis.findings:
        if f.severity == "info":
            continue
        key, modules, root = (f.finding.onset_step, f.code), concerned(run, f.finding), f.root
        if (known := found.get(key)) is not None:
            modules, root = modules | set(known.modules), root or known.root
        found[key] = Mark(*key, f.severity, root, sorted(modules))
    return sorted(found.values(), key=lambda m: (m.step, not m.root))


def concerned(run: Run, finding: Finding) -> set[int]:
    """The modules that a finding names, or whose parameters it names; else those that its line constructs."""
    parameters = set(finding.parameters)
    found = {p.module for p in run.parameters if p.index in parameters and p.module >= 0}
    found |= {m.index for m in run.modules if finding.module and m.path == finding.module}
    at = finding.location
    if found or at is None:
        return found
    return {m.index for m in run.modules if m.location and (m.location.file, m.location.line) == (at.file, at.line)}
