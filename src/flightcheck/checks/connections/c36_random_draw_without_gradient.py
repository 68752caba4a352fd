"""C36: random numbers of a distribution that a model made, drawn so that the model gets no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.loss_records import RandomDraw
from flightcheck.recording.run import Run


@check(
    "C36",
    "random-draw-without-gradient",
    severity="error",
    evidence="X",
    needs=("RandomDraw", "parameters"),
    fix="Draw the noise apart from its mean and width: mean + std * torch.randn_like(std), or rsample().",
)
class RandomDrawWithoutGradient(Check):
    """A model makes the mean or width of random numbers, and they give no gradient back to it.

    ## What it checks
    In the first steps, the graphs of the losses: a node of `torch.normal`, `torch.bernoulli` or `torch.poisson` (their
    gradient is zero) with trained parameters behind it; and what `sample()` of a distribution with such parameters
    gave, where the script goes on to compute the loss with it.
    ## Why it matters
    The part of the model behind the draw learns nothing from what is made of it. In a variational autoencoder only the
    divergence reaches the encoder, which then says the same of every example.
    ## How to fix
    The reparameterization: `mean + std * torch.randn_like(std)`, or `rsample()` of the distribution.
    ## Source
    Kingma and Welling 2014, section 2.4; PyTorch, torch.distributions (pathwise derivative).
    ## Known false alarms
    The score function (`log_prob` of a sample) needs no gradient through the sample and is left out, and so is
    reinforcement learning. Straight-through estimators detach the difference, so the draw is in no graph.
    """

    rounds = Param(3, "backward passes: one may be a logging step")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("reinforcement"):
            raise NotApplicable("actions are drawn, and learnt from by their probability")
        if not run.parameters:
            raise NotEnoughEvidence("no parameter was seen")
        trained = {p.index for p in run.parameters if run.trained(p)}
        few, decided = 0, False
        for draw in run.recorded(RandomDraw):
            behind = trained.intersection(draw.parameters)
            if behind and draw.rounds >= self.rounds.value:
                yield self._finding(run, draw, behind)
                decided = True
            elif behind:
                few = max(few, draw.rounds)
        if few and not decided and 0 < run.info.steps < self.rounds.value:
            raise NotEnoughEvidence(f"a draw without a gradient was seen in {few} of {self.rounds.value:.0f} rounds")

    @staticmethod
    def _finding(run: Run, draw: RandomDraw, behind: set[int]) -> Finding:
        modules = sorted({m.path for p in run.parameters if p.index in behind and (m := run.module(p.module))})
        at = draw.location
        named = ", ".join(modules[:3]) + (", …" if len(modules) > 3 else "")
        reparameterized = at is not None and draw.operation in ("torch.normal", "sample")
        return Finding(
            f"{draw.operation} draws from a distribution that {named or 'the model'} made, and gives it no gradient: "
            f"{len(behind)} parameters learn nothing from what is made of these numbers.",
            location=at,
            evidence={"operation": draw.operation, "parameters": len(behind), "modules": modules[:8]},
            onset_step=draw.step,
            patch=f"keep-graph:{PurePath(at.file).name}:{at.line}" if at is not None and reparameterized else "",
            parameters=tuple(sorted(behind)),
        )
