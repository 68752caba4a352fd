"""What the tool said of a program of the zoo, and whether that is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.command import check
from benchmarks.results import Results
from benchmarks.zoo.programs import Program


@dataclass(frozen=True)
class Outcome:
    """The findings of severity warn or above, the first root cause first."""

    program: Program
    findings: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def first(self) -> dict[str, Any] | None:
        return self.findings[0] if self.findings else None

    @property
    def detected(self) -> bool:
        """Anything is said of a faulty program."""
        return bool(self.findings)

    @property
    def right(self) -> bool:
        """The cause of a fault is named first; of another program, nothing is said."""
        if self.program.kind != "faulty":
            return not self.findings
        return self.first is not None and self.first["code"] in self.program.causes

    @property
    def right_anywhere(self) -> bool:
        return any(f["code"] in self.program.causes for f in self.findings)

    @property
    def right_line(self) -> bool:
        """The cause is named first, and at a line of the fault."""
        return self.right and self.first is not None and self.first["line"] in self.program.lines

    @property
    def confirmed(self) -> bool:
        """The cause is named first, and the trial of its fix showed that it works."""
        return self.right and self.first is not None and self.first["trial"] == "confirmed"


def outcome(program: Program, results: Results) -> Outcome:
    """Check a program, or take the result that is there."""
    found = results.get(program.text, lambda: check(program.text))
    return Outcome(program, found["findings"], found["seconds"])
