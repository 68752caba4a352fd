"""A patch as a user would make it by hand: the line as it is, and as it would be."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.lab.changed_lines import with_rate
from flightcheck.lab.diffs import of_data, of_models
from flightcheck.lab.diffs.added_lines import ADDED
from flightcheck.lab.diffs.asked import Asked
from flightcheck.lab.one_order import with_one_order
from flightcheck.patch import Patch
from flightcheck.recording.run import Run

_BY_KIND: Final = {**of_data.RULES, **of_models.RULES}


def diff_of(patches: Sequence[Patch], finding: Finding, run: Run) -> str:
    """Lines with ``-`` and ``+`` for all patches together; empty for what has no simple form."""
    rules = [p.value.split(":")[0] for p in patches if p.kind == "source"]
    if rules == ["order", "same-order"] and finding.location is not None:
        lines = [int(p.value.rpartition(":")[2]) for p in patches]
        return with_one_order("".join(linecache.getlines(finding.location.file)), *lines)
    return "\n".join(filter(None, (_one(p, finding, run) for p in patches)))


def _one(patch: Patch, finding: Finding, run: Run) -> str:
    if patch.kind == "lr":
        return with_rate(patch, run)
    of_its_kind = _BY_KIND.get(patch.kind)
    changed = of_its_kind(Asked(patch, finding)) if of_its_kind is not None else None
    return _added(patch) if changed is None else changed


def _added(patch: Patch) -> str:
    """The line that the patch adds; empty without one."""
    added = ADDED.get(str(patch)) or ADDED.get(f"{patch.kind}:{patch.value or 'default'}") or ADDED.get(patch.kind)
    return f"+ {added}".replace("{value}", patch.value) if added else ""
