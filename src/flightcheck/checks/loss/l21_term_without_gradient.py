"""L21: a term of the loss that a model made, and that has no graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.connections.c02_parameter_without_gradient import REPAIRABLE
from flightcheck.recording.loss_records import LooseTerm
from flightcheck.recording.run import Run

_WRITTEN: Final = ("detach", "data", "item", "numpy")
"""Cuts that stand in the line that makes them: it is the line to change."""


@check(
    "L21",
    "term-without-gradient",
    severity="warn",
    evidence="X",
    needs=("LooseTerm",),
    fix="Compute the term from outputs with a graph: not under no_grad, not from what an earlier pass stored.",
)
class TermWithoutGradient(Check):
    """A term of the loss comes from the model and has no graph: its value is in the loss, its gradient is zero.

    ## What it checks
    In the first steps, the sums from which a loss is put together: a number without a graph, made from the output of a
    model that an optimizer trains (by `detach`, under `no_grad`, from log-probabilities that were stored), is added to
    a number with a graph, in every backward pass of that line, and its value changes.
    ## Why it matters
    Minimizing the sum does not minimize this term. The printed loss holds it, so the curve looks like that of a
    training on both. A policy whose log-probabilities were stored during the rollout never learns.
    ## How to fix
    Compute the term again, from the stored inputs, where gradients are enabled.
    ## Source
    pytorch.org, autograd mechanics (locally disabling gradient computation); Sutton and Barto, section 13.5: the
    gradient of the log-probability is the update of an actor.
    ## Known false alarms
    A term that is added for the printed value only. Left out are constants, what is computed from data alone, terms of
    weight zero, baselines (what is subtracted as it was detached, or was known from an earlier step), parts of a model
    that no optimizer holds, and terms of a GAN that the other player made: told are those of a player to whom the rest
    of the same loss leads.
    """

    rounds = Param(3, "backward passes: one may be a logging step")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.loss_terms:
            raise NotEnoughEvidence("the terms of the loss were not seen")
        trained = {p.index for p in run.parameters if run.trained(p)}
        few, decided = 0, False
        found = [t for t in run.recorded(LooseTerm) if not run.in_regime("gan") or _of_who_learns(run, t)]
        if run.in_regime("gan") and not found:
            raise NotApplicable("a player's loss may hold terms of the other one")
        for term in found:
            behind = [i for i in term.parameters if i in trained]
            values = [v for v in term.values if math.isfinite(v)]
            if behind and term.rounds >= self.rounds.value and len(set(values)) > 1 and any(values):
                yield self._finding(run, term, behind)
                decided = True
            elif behind and term.rounds < self.rounds.value:
                few = max(few, term.rounds)
        if few and not decided and 0 < run.info.steps < self.rounds.value:
            raise NotEnoughEvidence(f"a term without a gradient was seen in {few} of {self.rounds.value:.0f} rounds")

    @staticmethod
    def _finding(run: Run, term: LooseTerm, behind: list[int]) -> Finding:
        cut, added = term.cut_location, term.sum_location
        why = f" ('{term.operation}' in line {cut.line} cut it)" if cut is not None else ""
        where = f"line {added.line}" if added is not None else "the sum"
        patch = ""
        if cut is not None and term.operation in REPAIRABLE:
            patch = f"keep-graph:{PurePath(cut.file).name}:{cut.line}"
        return Finding(
            f"The term that {where} adds to the loss has no graph{why}: in {term.rounds} backward passes it went from "
            f"{term.values[0]:.3g} to {term.values[-1]:.3g}, and nothing was told how to change it.",
            location=cut if cut is not None and term.operation in _WRITTEN else term.location or added,
            evidence={"cut": term.operation, "rounds": term.rounds, "values": term.values},
            patch=patch,
            parameters=tuple(behind),
        )


def _of_who_learns(run: Run, term: LooseTerm) -> bool:
    """Behind the term lies every player to whom the graph of the sum leads: it is no term of the other one alone."""

    def players(indices: list[int]) -> set[int]:
        known = {p.index: p for p in run.parameters if run.trained(p)}
        return {o for i in indices if i in known for o in known[i].optimizers}

    learning = players(term.beside)
    return bool(learning) and learning <= players(term.parameters)
