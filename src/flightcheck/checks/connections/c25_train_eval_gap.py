"""C25: the same training examples have a higher loss in eval mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


def depends_on_mode(run: Run) -> bool:
    """A trained model has dropout, batch normalization, or code of its own that asks for the mode."""
    trained = {r.index for r in run.roots if r.train_calls}
    kinds = ("dropout", "batchnorm")
    return any(m.root in trained and (m.kind in kinds or m.settings.get("reads_mode")) for m in run.modules)


@check(
    "C25",
    "train-eval-gap",
    severity="error",
    evidence="T",
    needs=("Probe", "modules"),
    fix="Scale what is kept by 1 / (1 - p) in training, so that eval mode, which drops nothing, has the same mean.",
)
class TrainEvalGap(Check):
    """In eval mode the model is a worse one, on the very examples it is trained with.

    ## What it checks
    In a trial, after 44 steps or more: the last eight training batches again, the same tensors, in train mode (mean of
    eight draws of dropout) and in eval mode, with the script's own loss. Eval mode is worse by more than a tenth of the
    loss and 0.05, in a signed-rank test over the batches with p < 0.01. Then all is run in eval mode but one kind of
    module: the kind that closes four fifths of the gap is named. An error if code of the script's own thins its values
    at random and does not keep their mean (at the next module it is off by more than a tenth); else a note, with the
    share of the gap that BatchNorm statistics of these very batches would close.
    ## Why it matters
    Without dropout's noise a model should be better. Where it is worse, the evaluated model is not the trained one: it
    looks like overfitting, and no amount of data helps.
    ## How to fix
    Dropout by hand: `x * mask / keep`. After DropPath divide by the probability of keeping a path, too.
    ## Source
    Ben Braiek and Khomh 2023, TheDeepChecker (switching the mode); Srivastava et al. 2014 (scaling by 1/p); Wu and
    Johnson 2021, Rethinking "Batch" in BatchNorm; catalogue C25; limits ours.
    ## Known false alarms
    Teacher forcing in train mode and hard choices in eval mode are worse there on purpose, and statistics of BatchNorm
    lag behind weights that change fast: notes. So is an input that is thinned before any layer (denoising). Models that
    return another thing in eval mode are not judged.
    """

    calls = Param(44, "0.9^44 is under 1 %: running statistics with the default momentum have caught up")
    relative = Param(0.1, "of the loss in train mode; catalogue C25")
    absolute = Param(0.05, "nats, where the loss is small; catalogue C25")
    p = Param(0.01, "the level of all experiments; eight batches out of eight give 0.004")
    closes = Param(0.8, "share of the gap that the named kind of module must close; catalogue C25")
    scale = Param(0.1, "distance from 1 of the mean over eight draws, which is off by a few percent at most")
    likeness = Param(0.8, "cosine with eval mode: thinned by half, eight draws have 0.94; other values have none")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement", "contrastive", "self-supervised", "second-order"):
            raise NotApplicable("the loss of a batch is not that of its examples, or no measure of them")
        if not depends_on_mode(run):
            raise NotApplicable("no dropout, no batch normalization, and no code that asks for the mode")
        found = run.probe("modes").result
        if found["calls"] < self.calls.value:
            raise NotEnoughEvidence(f"only {found['calls']} training calls of the model before it was asked")
        training, evaluating = np.array(found["train"]), np.array(found["eval"])
        one, other = float(training.mean()), float(evaluating.mean())
        if not np.isfinite([one, other]).all():
            raise NotEnoughEvidence("the loss is not finite")
        if other - one <= max(self.relative.value * abs(one), self.absolute.value):
            return
        p = _worse(training, evaluating)
        if p >= self.p.value:
            return
        groups = [g for g in found.get("groups", []) if g["closes"] >= self.closes.value]
        groups.sort(key=lambda g: (not self._misscaled(g), not g["own"], -g["closes"]))
        yield self._finding(run, found, groups[0] if groups else None, (one, other, p))

    def _misscaled(self, group: dict[str, Any]) -> bool:
        """The script's own code drops values and does not keep their mean."""
        off = abs(float(group.get("scale", 1.0)) - 1) > self.scale.value
        return off and float(group["likeness"]) > self.likeness.value

    def _finding(
        self, run: Run, found: dict[str, Any], group: dict[str, Any] | None, values: tuple[float, float, float]
    ) -> Finding:
        one, other, p = values
        text = f"The last {len(found['train'])} training batches have a loss of {one:.3g} in train mode and of "
        text += f"{other:.3g} in eval mode (p = {p:.2g})."
        evidence = {"train": one, "eval": other, "p": p, "module": group["name"] if group else None}
        if group is None:
            return Finding(
                f"{text} No kind of module makes that alone.", evidence=evidence, severity="info", fix=_OTHER
            )
        module = next((m for m in run.modules if m.path.partition(".")[2] == group["path"]), None)
        location = Location(group["file"], int(group["line"]), "forward", "") if group.get("line") else None
        evidence["closes"] = group["closes"]
        text += f" With {_named(group)} in train mode {group['closes']:.0%} of the gap is closed."
        loud = self._misscaled(group)
        if loud:
            evidence["scale"] = group["scale"]
            where = f"before {group['before']}" if group["before"] else "at the output"
            text += f" In training its random thinning leaves {group['scale']:.2f} times the mean of eval mode {where}."
        if group["name"] == "batchnorm" and "recalibrated" in found:
            evidence["recalibrated"] = found["recalibrated"]
            text += f" Statistics of these batches alone would close {found['recalibrated']:.0%}"
            text += ": they lag behind the weights." if found["recalibrated"] >= self.closes.value else "."
        return Finding(
            text,
            location=location or (module.location if module else None),
            module=module.path if module else "",
            evidence=evidence,
            severity=None if loud else "info",
            fix="" if loud else _OTHER,
        )


_OTHER = "Compare what this module returns in both modes, for the same batch."


def _named(group: dict[str, Any]) -> str:
    names = {"dropout": "dropout", "batchnorm": "BatchNorm"}
    return names.get(group["name"], f"{group['name']} ({group['path']})" if group["path"] else str(group["name"]))


def _worse(training: Any, evaluating: Any) -> float:
    """One-sided p value of Wilcoxon's signed-rank test."""
    from scipy import stats  # type: ignore[import-untyped] # slow to import, and `list` needs it not

    return float(stats.wilcoxon(evaluating, training, alternative="greater").pvalue)
