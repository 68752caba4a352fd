"""L01: before the first step the loss is far above that of a model that knows nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._prediction import by_site
from flightcheck.recording.records import LossCall, LossSite, ModuleInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import WEIGHT_NORM

CROSS_ENTROPY: Final = ("cross_entropy", "nll_loss")
BINARY: Final = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
WITHOUT_CHANCE: Final = ("gan", "reinforcement", "contrastive", "self-supervised", "diffusion", "finetune")


@check(
    "L01",
    "initial-loss-off",
    severity="warn",
    evidence="H",
    needs=("loss_calls",),
    fix="Make the outputs small at the start: scale the last layer's initialization down (or to zero).",
    patch="reinit:default",
)
class InitialLossOff(Check):
    """The loss of the untrained model is far above that of guessing.

    ## What it checks
    Cross-entropy at the first step, on the raw outputs of a layer that was not loaded, against ln C for C classes (ln 2
    per label for binary cross-entropy): what a model scores that finds all classes equally likely.
    ## Why it matters
    Outputs that are large at random make a model that is sure of its wrong guesses: the first part of the training is
    spent on taking them back, with gradients that are far too large for the learning rate.
    ## How to fix
    Initialize weights with a spread of about 1/√fan-in and the last layer with less; normalize the inputs.
    ## Source
    CS231n: look for the correct loss at chance performance; Karpathy, A Recipe for Training Neural Networks.
    ## Known false alarms
    Labels that are wrong in most batches cannot do this, scale alone can. Temperatures (contrastive losses) are left
    out: their logits do not come from a layer.
    """

    nats = Param(1.5, "healthy networks with default initialization overshoot by up to 0.6 (30 seeds)")
    relative = Param(0.5, "of the loss at chance: where there are many classes, one nat is little")
    wide = Param(3.0, "usual initializations have √fan-in times spread of 0.6 to 1.4")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*WITHOUT_CHANCE) or any(r.loaded for r in run.roots):
            raise NotApplicable("the loss at chance is not known for this kind of training")
        sites = by_site(c for c in run.training_calls(*CROSS_ENTROPY, *BINARY) if c.step == 0)
        looked = 0
        for here in sites.values():
            site = run.site(here[0])
            chance = self._chance(run, site, here)
            values = [c.value for c in here if c.value is not None and math.isfinite(c.value)]
            if chance is None or not values:
                continue
            looked += 1
            start = float(np.mean(values))
            if start - chance > max(self.nats.value, self.relative.value * chance):
                yield self._finding(run, site, here, start, chance)
        if not looked:
            if sites or not run.training_calls():
                raise NotApplicable("no plain cross-entropy on the outputs of a layer")
            raise NotEnoughEvidence("the loss of the first step was not seen")

    @staticmethod
    def _chance(run: Run, site: LossSite, here: Sequence[LossCall]) -> float | None:
        """The loss of equal probabilities; None where it is not known."""
        s, call = site.settings, here[0]
        plain = s.get("reduction", "mean") == "mean" and not s.get("weighted") and not s.get("label_smoothing")
        of_layer = call.input_op.startswith(("Addmm", "Convolution")) or any(
            a.site == site.index and a.producer for a in run.loss_axes
        )
        if not (plain and of_layer):
            return None
        if site.function in BINARY:
            return math.log(2) if call.target_min >= 0 and call.target_max <= 1 else None
        return math.log(call.classes) if call.classes > 1 and "int" in call.target_dtype else None

    def _finding(self, run: Run, site: LossSite, here: Sequence[LossCall], start: float, chance: float) -> Finding:
        blamed = self._too_wide(run)
        width = max(c.input_std for c in here)
        if blamed is not None:
            parameter, module, ratio = blamed
            why = f"the weights of {module.path} spread {ratio:.3g} times as wide as 1/√fan-in"
            location = parameter.write_location or module.location
            fix = f"Initialize {module.path} with a spread of about 1/√fan-in, {1 / ratio:.2g} of what it has."
        else:
            why, location, fix = f"the outputs spread by {width:.3g}", here[0].input_module_location, ""
        return Finding(
            f"Before the first step {site.function} is {start:.4g}; a model that knows nothing scores "
            f"{chance:.3g}: {why}.",
            location=location or site.location,
            module=blamed[1].path if blamed else here[0].input_module,
            evidence={"loss": start, "chance": chance, "output_std": width, "loss_line": str(site.location)},
            onset_step=0,
            fix=fix,
        )

    def _too_wide(self, run: Run) -> tuple[ParameterInfo, ModuleInfo, float] | None:
        """The widest matrix of a layer, if it is far wider than any usual initialization makes it."""
        steps, rows = run.frames.get(WEIGHT_NORM.name, (np.empty(0), []))
        if not len(steps):
            return None
        widest: tuple[ParameterInfo, ModuleInfo, float] | None = None
        for p in run.parameters:
            module = run.module(p.module)
            if p.role != "matrix" or module is None or module.kind not in ("linear", "conv") or p.index >= len(rows[0]):
                continue
            ratio = float(rows[0][p.index]) / math.sqrt(p.numel) * math.sqrt(p.numel / p.shape[0])
            if ratio > self.wide.value and (widest is None or ratio > widest[2]):
                widest = (p, module, ratio)
        return widest
