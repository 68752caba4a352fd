"""A finding that may be the root cause, and the patches that would mend it."""

from __future__ import annotations

from typing import Final

from flightcheck.checks.base import CheckInfo, Finding
from flightcheck.frozen import frozen
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch, alternatives
from flightcheck.recording.run import Run

_TOGETHER: Final = "keep-graph:"
"""Patches at a line of which all that a check proposes are tried at once."""


@frozen
class Candidate:
    """A finding that may be the root cause."""

    info: CheckInfo
    finding: Finding
    rival_of: str = ""
    """Code of the root that explains it unless an experiment says otherwise: tried if that one is not confirmed."""
    of_its_code: tuple[Finding, ...] = ()
    """All root findings of this code that propose a fix of their own, this one among them."""

    @property
    def patches(self) -> list[list[Patch]]:
        """Alternatives, each a list of patches to be applied together."""
        text = self.finding.patch or self.info.patch
        together = [f.patch for f in self._together]
        if together:  # two cuts of one graph: mending one of them shows little
            text = " + ".join(together) + f" | {text}"
        return [[Patch.parse(p) for p in parts] for parts in alternatives(text)]

    @property
    def _together(self) -> tuple[Finding, ...]:
        """Findings at other places of which each needs its own part of one change."""
        own = self.of_its_code
        return own if len({f.patch for f in own}) > 1 and all(f.patch.startswith(_TOGETHER) for f in own) else ()

    def diff(self, patches: list[Patch], run: Run) -> str:
        """What a user would change by hand, at each place its own line."""
        if len(patches) == len(self._together):
            parts = [diff_of([p], f, run) for p, f in zip(patches, self._together)]
            return "\n".join(filter(None, parts))
        return diff_of(patches, self.finding, run)
