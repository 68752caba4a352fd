"""What is asked of a rule that writes a diff, and the rules by the kind of their patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from flightcheck.checks.base import Finding
from flightcheck.frozen import frozen
from flightcheck.lab.changed_lines import replaced
from flightcheck.patch import Patch
from flightcheck.recording.records import Location


@frozen
class Asked:
    """A patch, and the finding that proposes it."""

    patch: Patch
    finding: Finding

    @property
    def value(self) -> str:
        return self.patch.value

    @property
    def found(self) -> dict[str, Any]:
        """The evidence of the finding."""
        return self.finding.evidence

    @property
    def line(self) -> Location | None:
        return self.finding.location

    @property
    def code(self) -> str:
        """Of the line; empty where none is known."""
        return self.line.code if self.line is not None else ""

    def instead(self, told: str) -> str:
        """The line, and in words what is to stand there."""
        return f"- {self.code}\n+ # {told}"

    def rewritten(self, code: str, otherwise: str = "") -> str:
        """The line and its new code; where that changes nothing, in words."""
        return replaced(self.line, code) or (self.instead(otherwise) if otherwise else "")


Rule: TypeAlias = Callable[[Asked], "str | None"]
"""A diff; None for the line that such a patch adds."""


class Rules(dict[str, Rule]):
    """Rules by the kind of their patches."""

    def of(self, *kinds: str) -> Callable[[Rule], Rule]:
        """A decorator: the rule of these kinds."""

        def register(rule: Rule) -> Rule:
            self.update(dict.fromkeys(kinds, rule))
            return rule

        return register

    def in_words(self, kind: str, told: str) -> None:
        """A kind whose change of the line is always told in words."""
        self[kind] = lambda asked: asked.instead(told)
