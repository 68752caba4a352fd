"""The zoo in a browser: one file, each program with what was said of it, the lines of its fault, and the repair."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from html import escape

from benchmarks.zoo.outcome import Outcome

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
details { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .3rem 0; }
summary { display: grid; grid-template-columns: 11rem 5rem 12rem 1fr 6rem; gap: .5rem; cursor: pointer; }
pre { overflow-x: auto; padding: .5rem; background: color-mix(in srgb, currentColor 6%, transparent); }
.no { color: #c0392b; font-weight: 600; } .yes { color: #1e8449; }
"""


def browser_page(outcomes: Sequence[Outcome]) -> str:
    """The whole page, readable without JavaScript; all text of programs is escaped.

    Args:
        outcomes: of all programs.
    """
    twins = {o.program.name: o.program.text for o in outcomes if o.program.kind == "repaired"}
    order = {"faulty": 0, "repaired": 2, "healthy": 1}
    rows = sorted(outcomes, key=lambda o: (order[o.program.kind], o.right, o.program.name))
    body = "\n".join(_entry(o, twins.get(o.program.name, "")) for o in rows)
    right = sum(o.right for o in rows)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>The zoo, program by program</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>The zoo, program by program</h1>\n"
        f"<p>{right} of {len(rows)} programs were judged rightly: the cause of a fault first, nothing on a repaired or "
        "healthy one. Wrong ones stand first. The figures with their intervals are in accuracy.md.</p>\n"
        f"{body}\n</body></html>\n"
    )


def _entry(o: Outcome, repaired: str) -> str:
    p = o.program
    said = [f"{f['code']}, line {f['line'] or '–'}, {f['trial'] or 'no trial'}" for f in o.findings] or ["nothing"]
    mark = '<span class="yes">right</span>' if o.right else '<span class="no">wrong</span>'
    cells = (p.name, p.kind, " or ".join(p.causes) or "–", said[0])
    head = "".join(f"<span>{escape(c)}</span>" for c in cells)
    more = [f"<p>{escape(p.why)}</p>"] if p.why else []
    more += [f"<p>{escape(', '.join(filter(None, (p.class_, p.task, p.style, p.half))))}; {o.seconds:.0f} s</p>"]
    if len(said) > 1:
        more += ["<p>Also said: " + escape("; ".join(said[1:])) + "</p>"]
    if p.kind == "faulty":
        diff = difflib.unified_diff(p.text.splitlines(), repaired.splitlines(), "faulty", "repaired", lineterm="", n=2)
        more += [f"<pre>{escape(chr(10).join(diff))}</pre>"]
    return f"<details><summary>{head}<span>{mark}</span></summary>{''.join(more)}</details>"
