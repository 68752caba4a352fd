"""P35: dropout at a place, or of a strength, that nobody means."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import trained_roots
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run

_PREDICTIONS = {
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss",
    "smooth_l1_loss", "huber_loss", "gaussian_nll_loss", "poisson_nll_loss",
}  # fmt: skip


@check(
    "P35",
    "dropout-or-width-extreme",
    severity="warn",
    evidence="X",
    needs=("modules", "loss_calls"),
    fix="Drop between hidden layers only, with the share that is dropped (not kept) as p.",
)
class DropoutOrWidthExtreme(Check):
    """Dropout on the model's output, or with the share to keep given as the share to drop.

    ## What it checks
    (a) The prediction of every observed loss call of a line is the output of a dropout module that is on: nothing but
    views lies between. (b) A dropout module between trained layers with p of 0.9 or more; from 0.8 on as information.
    ## Why it matters
    Dropout sets outputs to zero: the loss then compares zeros with targets, which no weights can mend, and the others
    are scaled up. `p` is the share that is dropped; the share that is kept (0.9 in other frameworks) leaves a tenth of
    the units, and little is learnt.
    ## How to fix
    Remove the dropout after the last layer; `p=1 - keep`.
    ## Source
    Srivastava et al. 2014, Dropout; Schoop et al. 2021, UMLAUT (p above 0.5).
    ## Known false alarms
    Masked inputs (before the first trained layer), dropout on attention (by its name, or after a softmax), contrastive
    and self-supervised trainings and GANs, in which dropped outputs make views, are silent.
    """

    calls = Param(3, "loss calls whose prediction is a dropout's output: not a probe of one step")
    kept = Param(0.9, "a tenth or less of the units is left; no recipe for hidden layers asks for that")
    strong = Param(0.8, "some recipes for graphs on few labels go so far: information")

    def __call__(self, run: Run) -> Iterator[Finding]:
        drops = {m.path: m for m in run.modules if m.kind == "dropout" and m.settings.get("p")}
        if not drops:
            raise NotApplicable("no dropout module was seen")
        if run.in_regime("contrastive", "self-supervised", "gan", "reinforcement"):
            raise NotApplicable("dropped values may be what this kind of training learns from")
        calls = [c for c in run.loss_calls if c.training]
        if not calls:
            raise NotEnoughEvidence("no loss call was recorded")
        roots = set(trained_roots(run))
        functions = {s.index: s.function for s in run.loss_sites}
        told = set()
        for path, drop in drops.items():
            fed = [c for c in calls if c.input_module == path and functions.get(c.site) in _PREDICTIONS]
            known = [c for c in calls if c.input_module and c.site in {f.site for f in fed}]
            if len(fed) >= self.calls.value and len(fed) == len(known) and drop.training and drop.root in roots:
                told.add(path)
                yield self._on_output(drop, functions[fed[0].site])
        extreme = [
            m for m in drops.values()
            if m.path not in told and m.root in roots and m.settings["p"] >= self.strong.value and _hidden(run, m)
        ]  # fmt: skip
        if extreme:
            yield self._kept(extreme)

    def _on_output(self, drop: ModuleInfo, function: str) -> Finding:
        return Finding(
            f"{drop.path} drops {drop.settings['p']:.0%} of the predictions: its output goes straight into {function}.",
            location=drop.location,
            module=drop.path,
            evidence={"p": drop.settings["p"], "place": "output"},
            patch=f"dropout:{drop.path}=0",
            fix=f"Remove {drop.path}, or move it before the last layer.",
        )

    def _kept(self, extreme: list[ModuleInfo]) -> Finding:
        worst = max(extreme, key=lambda m: float(m.settings["p"]))
        p = float(worst.settings["p"])
        more = f" and {len(extreme) - 1} more" if len(extreme) > 1 else ""
        patches = "+".join(f"dropout:{m.path}={1 - float(m.settings['p']):.3g}" for m in extreme)
        return Finding(
            f"{worst.path}{more} drops {p:.3g} of the hidden units in training; p is the share that is dropped, not "
            "the share that is kept.",
            location=worst.location,
            module=worst.path,
            evidence={"p": p, "place": "hidden", "modules": len(extreme)},
            severity=None if p >= self.kept.value else "info",
            patch=patches,
            fix=f"If {p:.3g} is the share to keep: p={1 - p:.3g}.",
        )


def _hidden(run: Run, drop: ModuleInfo) -> bool:
    """Called between trained layers, and not on an attention map."""
    if drop.order < 0 or "att" in drop.path.lower() or not drop.training:
        return False
    mine = sorted((m for m in run.modules if m.root == drop.root and m.leaf and m.order >= 0), key=lambda m: m.order)
    layers = [m for m in mine if m.trainable and m.kind in ("linear", "conv", "rnn", "embedding", "norm", "batchnorm")]
    before = [m for m in mine if m.order < drop.order]
    if not before or before[-1].kind in ("softmax", "embedding"):
        return False  # attention, or words that are left out
    return any(m.order < drop.order for m in layers) and any(m.order > drop.order for m in layers)
