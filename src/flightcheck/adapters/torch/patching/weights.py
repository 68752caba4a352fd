"""Patches of a sum: one term of the loss pulls with another weight."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.terms import TermNode
from flightcheck.patch import Patch

_VALUE: Final = re.compile(r"([\d,]+)@(.+):(\d+) x([\d.eE+-]+)")


def term(b: Boundaries, patch: Patch) -> None:
    """``term:2@train.py:31 x0.02``: the second term of the sum, made at that line, has 0.02 of its gradient (``2,3``:
    two terms).

    The value of the loss stays as the script computed it.
    """
    given = _VALUE.fullmatch(patch.value)
    if given is None:
        raise ValueError(f"no number, line and factor of a term: {patch.value!r}")
    numbers = [int(n) for n in given[1].split(",")]
    file, line, factor = given[2], int(given[3]), float(given[4])
    b.observer.keep_learning()

    def before(loss: torch.Tensor, terms: Sequence[TermNode]) -> None:
        if len(terms) < max(2, *numbers):
            return
        for chosen in (terms[n - 1] for n in numbers):
            at = chosen.location
            if at is None or at.line != line or Path(at.file).name != file:
                continue
            # A graph that is kept for a second backward keeps its hooks: one for each node is enough.
            node = _entry(chosen, terms)
            if "flightcheck_weighted" not in node.metadata:
                node.metadata["flightcheck_weighted"] = True
                node.register_prehook(lambda gradients: _scaled(gradients, factor))
            b.acted(patch)

    b.observer.operations.terms.at_backward = before


def _entry(chosen: TermNode, terms: Sequence[TermNode]) -> Any:
    """Where the gradient enters this term and nothing else.

    That is the sum or mean that made a number of it: what lies behind may be a part of another term, as the output of
    an encoder is. Where that sum holds a loss as well, it is the term itself.
    """
    shared = any(t.reduced is chosen.reduced and t.of_loss for t in terms if t is not chosen)
    return chosen.node if chosen.reduced is None or shared else chosen.reduced


def _scaled(gradients: tuple[Any, ...], factor: float) -> tuple[Any, ...]:
    return tuple(None if g is None else g * factor for g in gradients)
