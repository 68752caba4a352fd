"""A run in a few facts: what a notebook shows of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flightcheck.recording.signals import LOSS

if TYPE_CHECKING:
    from flightcheck.recording.run import Run

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LONGEST: Final = 200


def outline(run: Run) -> list[tuple[str, str]]:
    """Names and values, the values of the user's program without control characters and not longer than `LONGEST`."""
    info = run.info
    parameters = sum(p.numel for p in run.parameters)
    _, losses = run.frames.get(LOSS.name, ((), []))
    facts = [
        ("run", info.id),
        ("command", info.command or info.script),
        ("started", info.started),
        ("ended", info.ended + (f", {info.error}" if info.error else "")),
        ("steps", f"{info.steps:,}"),
        ("loss", f"{losses[0][0]:.4g} → {losses[-1][0]:.4g}" if len(losses) else ""),
        ("models", ", ".join(r.name or r.type for r in run.roots)),
        ("parameters", f"{parameters:,} in {len(run.parameters)} tensors" if run.parameters else ""),
        ("optimizers", ", ".join(o.type for o in run.optimizers)),
        (
            "recorded",
            ", ".join(f"{name} at {len(steps)} steps" for name, (steps, _) in run.frames.items() if len(steps)),
        ),
        ("folder", str(run.path) if run.path is not None else ""),
    ]
    return [(name, _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)[:LONGEST]) for name, value in facts if value]


def as_text(run: Run) -> str:
    """The facts in one line."""
    return f"Run({', '.join(f'{name}: {value}' for name, value in outline(run))})"


def as_table(run: Run) -> str:
    """The facts as a table in HTML."""
    from html import escape  # a table of two thousand names, for notebooks alone

    rows = [f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in outline(run)]
    return f"<table>{''.join(rows)}</table>"
