"""P35: dropout at a place, or of a strength, that nobody means."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import trained_roots
from flightcheck.frozen import frozen
from flightcheck.recording.dropouts import DropoutUse
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.provenance.kept_shares import names_kept_share
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.recording.run import Run

_PREDICTIONS = {
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss",
    "smooth_l1_loss", "huber_loss", "gaussian_nll_loss", "poisson_nll_loss",
}  # fmt: skip


@frozen
class _Strong:
    """Dropout of hidden units of which little is left."""

    name: str
    place: str
    """By which a patch finds it: a path of modules, or a line."""
    p: float
    location: Location | None
    module: str = ""


@check(
    "P35",
    "dropout-or-width-extreme",
    severity="warn",
    evidence="X",
    needs=("modules", "loss_calls", "DropoutUse"),
    fix="Drop between hidden layers only, with the share that is dropped (not kept) as p.",
)
class DropoutOrWidthExtreme(Check):
    """Dropout on the model's output, or with the share to keep given as the share to drop.

    ## What it checks
    Dropout modules, calls of dropout as a function, and the dropout of recurrent layers. (a) Between a dropout that is
    on and a loss no parameter takes part in the prediction any more: nothing but views and functions such as a softmax
    lies between, in all predictions that were looked at. (b) Dropout between trained layers with p of 0.9 or more; from
    0.8 on as information. Of a module that the script calls by itself, and no model's: only if what it is made with is
    called the share to keep.
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
        called = [u for u in run.recorded(DropoutUse) if u.module < 0]
        recurrent = [m for m in run.modules if m.kind == "rnn" and m.settings.get("dropout") and _is_deep(m)]
        if not (drops or called or recurrent):
            raise NotApplicable("no dropout was seen")
        if run.in_regime("contrastive", "self-supervised", "gan", "reinforcement"):
            raise NotApplicable("dropped values may be what this kind of training learns from")
        calls = [c for c in run.loss_calls if c.training]
        if not calls:
            raise NotEnoughEvidence("no loss call was recorded")
        roots = set(trained_roots(run))
        functions = {s.index: s.function for s in run.loss_sites}
        told = set()
        for path, drop in drops.items():
            last = self._feeds_losses(path, calls, functions) or self._comes_last(run, drop.index)
            if last and drop.training and drop.root in roots:
                told.add(path)
                yield _on_output(drop.settings["p"], path, drop.location, path)
        for use in called:
            if self._is_last(use):
                yield _on_output(use.p, _at(use), use.location, "")
        extreme = [
            _Strong(m.path, m.path, float(m.settings["p"]), m.location, m.path)
            for m in drops.values()
            if m.path not in told and m.root in roots and m.settings["p"] >= self.strong.value and _hidden(run, m)
        ]
        extreme += [
            _Strong(f"dropout at {_at(u)}", _at(u), u.p, u.location)
            for u in called
            if u.p >= self.strong.value and self._is_of_hidden_units(u) and (not u.alone or _calls_it_kept(u))
        ]
        extreme += [
            _Strong(m.path, m.path, float(m.settings["dropout"]), m.location, m.path)
            for m in recurrent
            if m.settings["dropout"] >= self.strong.value and m.root in roots and m.training and m.order >= 0
        ]
        if extreme:
            yield self._kept(extreme, called)

    def _feeds_losses(self, path: str, calls: list[LossCall], functions: dict[int, str]) -> bool:
        """All predictions of the losses that it feeds are its output."""
        fed = [c for c in calls if c.input_module == path and functions.get(c.site) in _PREDICTIONS]
        known = [c for c in calls if c.input_module and c.site in {f.site for f in fed}]
        return len(fed) >= self.calls.value and len(fed) == len(known)

    def _comes_last(self, run: Run, module: int) -> bool:
        return any(u.module == module and self._is_last(u) for u in run.recorded(DropoutUse))

    def _is_of_hidden_units(self, use: DropoutUse) -> bool:
        """No order of layers is known around it: a function, or a module that is called by itself."""
        return use.calls >= self.calls.value and not use.on_predictions and _of_units(use)

    def _is_last(self, use: DropoutUse) -> bool:
        """Nothing that is trained comes between it and a loss, in any prediction that was looked at."""
        return use.on_predictions >= self.calls.value and use.on_predictions >= use.loss_calls

    def _kept(self, extreme: list[_Strong], called: list[DropoutUse]) -> Finding:
        worst = max(extreme, key=lambda m: m.p)
        p = worst.p
        more = f" and {len(extreme) - 1} more" if len(extreme) > 1 else ""
        changed = {m.place: m.p for m in extreme}
        # One number may be that of several lines: where it drops words, too, it changes with the others.
        changed = {_at(u): u.p for u in called if u.p == p} | changed
        patches = "+".join(f"dropout:{place}={1 - of:.3g}" for place, of in changed.items())
        return Finding(
            f"{worst.name}{more} drops {p:.3g} of the hidden units in training; p is the share that is dropped, not "
            "the share that is kept.",
            location=worst.location,
            module=worst.module,
            evidence={"p": p, "place": "hidden", "modules": len(extreme)},
            severity=None if p >= self.kept.value else "info",
            patch=patches,
            fix=f"If {p:.3g} is the share to keep: p={1 - p:.3g}.",
        )


def _on_output(p: float, place: str, location: Location | None, module: str) -> Finding:
    name = module or "dropout"
    return Finding(
        f"{name} drops {p:.0%} of the predictions: nothing that is trained comes between it and the loss.",
        location=location,
        module=module,
        evidence={"p": p, "place": "output"},
        patch=f"dropout:{place}=0",
        fix=f"Remove {name}, or move it before the last layer.",
    )


def _at(use: DropoutUse) -> str:
    """The line of a call, as a patch names it."""
    at = use.location
    return f"{at.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{at.line}" if at is not None else "?"


def _calls_it_kept(use: DropoutUse) -> bool:
    """The script makes dropout of a number that it calls the share to keep: more is not known of what is dropped."""
    return use.location is not None and names_kept_share(use.location.file)


def _is_deep(layer: ModuleInfo) -> bool:
    """Recurrent layers drop between two layers of theirs: one alone drops nothing."""
    return int(layer.settings.get("num_layers") or 1) > 1


def _of_units(use: DropoutUse) -> bool:
    """What is dropped are hidden units: no attention map, and no words."""
    name = f"{use.inside}.{use.location.function if use.location else ''}".lower()
    return "att" not in name and not use.given_by.startswith(("Softmax", "Embedding"))


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
