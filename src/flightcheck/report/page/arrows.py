"""The arrows of the network's graph: along the values where their way is known, in the order of the calls elsewhere."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from flightcheck.frozen import frozen
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run
from flightcheck.report.page.markup import count


@frozen
class Arrow:
    """From one module to another, both by `ModuleInfo.index`."""

    source: int
    target: int
    known: bool
    """A value took this way; else the target was only called next."""


def arrows(run: Run, modules: list[ModuleInfo]) -> list[Arrow]:
    """All arrows between the layers among `modules`: those called modules that hold no other called one."""
    layers = _layers(modules)
    flow = run.data_flow
    there = {m.index for m in layers}
    found = [Arrow(a, b, True) for a, b in (flow.edges if flow else ()) if a in there and b in there]
    into, out_of = Counter(a.target for a in found), Counter(a.source for a in found)
    for before, after in pairwise(layers):
        # Where a layer has an arrow, a second one would claim a way that the gradients did not take.
        open_ = not into[after.index] and not (out_of[before.index] and out_of[after.index])
        if before.root == after.root and open_:
            found.append(Arrow(before.index, after.index, False))
    return found


def _layers(modules: list[ModuleInfo]) -> list[ModuleInfo]:
    called = sorted((m for m in modules if m.order >= 0), key=lambda m: (m.root, m.order, m.index))
    around = set()
    for m in called:
        path = m.path
        while "." in path:
            path = path.rpartition(".")[0]
            around.add((m.root, path))
    return [m for m in called if (m.root, m.path) not in around]


def in_words(found: list[Arrow]) -> str:
    """What the arrows mean, and for how many of them the way of the values is not known."""
    known = sum(a.known for a in found)
    if not found:
        return "Which module hands its values to which was not seen."
    if not known:
        return (
            "Arrows follow the order of the first calls; which value flows where is not known in this run, because no "
            "backward pass was seen that leads through these modules."
        )
    told = "Arrows follow the values, as the graph of the backward pass shows their way"
    if known == len(found):
        return f"{told}."
    return (
        f"{told}. Dashed ones ({count(len(found) - known, 'arrow')} of {len(found)}) follow the order of the first "
        "calls: no gradient shows what flows there (frozen, detached, or passed on unchanged)."
    )
