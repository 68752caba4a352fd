"""L01: before the first step the loss is far above that of a model that knows nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._inputs import target_moments
from flightcheck.checks.depth import spread_ratio
from flightcheck.checks.loss._prediction import by_site
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import ModuleInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

CROSS_ENTROPY: Final = ("cross_entropy", "nll_loss")
BINARY: Final = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
NUMBERS: Final = ("mse_loss", "l1_loss", "smooth_l1_loss")
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
    Cross-entropy at the first step, on the raw outputs of a layer that was not loaded, against ln C for C classes
    (ln 2 per label for binary cross-entropy): what a model scores that finds all classes equally likely. It informs
    where no layer has weights that are too wide, the loss is less than five times as high, and ends below half of
    that. Squared and absolute error against predicting 0: more than ten times that, with all predictions three
    spreads away from the targets, or predictions that spread three times as far as the targets while most matrices
    start with three times 1/√fan-in, and a loss that is still worse than predicting the mean at the end. Models
    that consist of embedding tables alone (dot products of users and items): rows of a length above 3, a first loss
    as above, and one still worse than chance at the end.
    ## Why it matters
    Outputs that are large at random make a model that is sure of its wrong guesses: the first part of the training is
    spent on taking them back, with gradients that are far too large for the learning rate.
    ## How to fix
    Initialize weights with a spread of about 1/√fan-in and the last layer with less; normalize the inputs. Tables whose
    rows are multiplied with each other: `nn.init.normal_(table.weight, std=dim ** -0.5)` or less.
    ## Source
    CS231n: look for the correct loss at chance performance; Karpathy, A Recipe for Training Neural Networks.
    ## Known false alarms
    Labels that are wrong in most batches cannot do this, scale alone can. Temperatures (contrastive losses) are left
    out: their logits do not come from a layer.
    """

    nats = Param(1.5, "healthy networks with default initialization overshoot by up to 0.6 (30 seeds)")
    relative = Param(0.5, "of the loss at chance: where there are many classes, one nat is little")
    far = Param(5.0, "times chance: He's factor √2 in the last layer, too, and dropout of half: up to 2.9 (40 draws)")
    times = Param(10.0, "numbers: outputs of default initialization are not larger than standardized targets")
    apart = Param(3.0, "numbers: spreads of predictions and targets together; fewer, and some predictions are right")
    calls = Param(24, "of a loss: the end is another time than the start")
    wide = Param(3.0, "usual initializations have √fan-in times spread of 0.6 to 1.4")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*WITHOUT_CHANCE) or any(r.loaded for r in run.roots):
            raise NotApplicable("the loss at chance is not known for this kind of training")
        sites = by_site(c for c in run.training_calls(*CROSS_ENTROPY, *BINARY, *NUMBERS) if c.step == 0)
        looked = 0
        for here in sites.values():
            site = run.site(here[0])
            if site.function in NUMBERS:
                of_layer = self._of_layer(run, site, here[0])
                looked += of_layer
                if site.settings.get("reduction", "mean") == "mean":
                    yield from self._of_numbers(run, site, of_layer)
                continue
            tables = self._tables(run, here[0])
            chance = self._chance(run, site, here, bool(tables))
            values = [c.value for c in here if c.value is not None and math.isfinite(c.value)]
            if chance is None or not values:
                continue
            looked += 1
            start = float(np.mean(values))
            if start - chance <= max(self.nats.value, self.relative.value * chance):
                continue
            if tables:
                yield from self._of_tables(run, site, tables, start, chance)
            else:
                yield self._finding(run, site, here, start, chance)
        if not looked:
            if sites or not run.training_calls():
                raise NotApplicable("no plain cross-entropy on the outputs of a layer")
            raise NotEnoughEvidence("the loss of the first step was not seen")

    @staticmethod
    def _of_layer(run: Run, site: LossSite, call: LossCall) -> bool:
        """A mean over outputs of a layer, with nothing but changes of shape between."""
        of_layer = call.input_op.startswith(("Addmm", "Convolution")) or any(
            a.site == site.index and a.producer for a in run.loss_axes
        )
        linear = site.function in NUMBERS and call.input_module_type == "Linear"
        return site.settings.get("reduction", "mean") == "mean" and (of_layer or linear)

    @staticmethod
    def _chance(run: Run, site: LossSite, here: Sequence[LossCall], tables: bool) -> float | None:
        """The loss of equal probabilities; None where it is not known."""
        s, call = site.settings, here[0]
        mean = s.get("reduction", "mean") == "mean"
        if s.get("weighted") or s.get("label_smoothing") or not mean:
            return None
        if not (tables or InitialLossOff._of_layer(run, site, call)):
            return None
        if site.function in BINARY:
            return math.log(2) if call.target_min >= 0 and call.target_max <= 1 else None
        return math.log(call.classes) if call.classes > 1 and "int" in call.target_dtype else None

    def _tables(self, run: Run, call: LossCall) -> list[tuple[ModuleInfo, float]]:
        """Embeddings with long rows, and how long, of a model of embeddings alone that put the prediction out."""
        root = next((r for r in run.roots if r.name == call.input_module), None)
        members = {m.index: m for m in run.modules if root is not None and m.root == root.index}
        mine = [p for p in run.parameters if p.module in members and len(p.shape) > 1]
        if not mine or any(members[p.module].kind != "embedding" for p in mine):
            return []
        lengths = [(members[p.module], spread_ratio(run, p)) for p in mine if p.shape[1] > 1]
        return [(m, length) for m, length in lengths if length is not None and length > self.wide.value]

    def _of_tables(
        self, run: Run, site: LossSite, tables: list[tuple[ModuleInfo, float]], start: float, chance: float
    ) -> Iterator[Finding]:
        """Scores that are made of the rows of tables, and have not got better than chance by the end."""
        values = [c.value for c in run.training_calls() if c.site == site.index and c.value is not None]
        late = median(values[-max(3, len(values) // 4) :])
        if len(values) < self.calls.value or not late > chance:
            return
        module, length = max(tables, key=lambda found: found[1])
        named, seen = ", ".join(m.path for m, _ in tables), len(values)
        yield Finding(
            f"Before the first step {site.function} is {start:.4g}; a model that knows nothing scores {chance:.3g}, "
            f"and after {seen} observed calls it is {late:.3g}: the rows of {named} have a length of {length:.3g}, "
            "so their products are sure and wrong.",
            location=module.location or site.location,
            module=module.path,
            evidence={
                "loss": start,
                "chance": chance,
                "late": late,
                "length": length,
                "loss_line": str(site.location),
                "tables": [_written(m) for m, _ in tables],
            },
            fix="Start the tables with a spread of 1/√columns or less, so that rows have a length of 1: behind their "
            f"construction, nn.init.normal_({_written(module)}.weight, std={_written(module)}.embedding_dim ** -0.5)"
            + (", and so for each." if len(tables) > 1 else "."),
            patch="reinit:tables",
        )

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
            severity="info" if blamed is None and self._got_over_it(run, site, start, chance) else None,
            fix=fix,
        )

    def _got_over_it(self, run: Run, site: LossSite, start: float, chance: float) -> bool:
        """The loss was not that far off, and is far below chance in the end."""
        values = [c.value for c in run.training_calls() if c.site == site.index and c.value is not None]
        late = median(values[-max(3, len(values) // 4) :])
        return start < self.far.value * chance and len(values) >= self.calls.value and late < chance / 2

    def _too_wide(self, run: Run) -> tuple[ParameterInfo, ModuleInfo, float] | None:
        """The widest matrix of a layer, if it is far wider than any usual initialization makes it."""
        widest: tuple[ParameterInfo, ModuleInfo, float] | None = None
        for p in run.parameters:
            module, ratio = run.module(p.module), spread_ratio(run, p)
            if p.role != "matrix" or module is None or module.kind not in ("linear", "conv") or ratio is None:
                continue
            if ratio > self.wide.value and (widest is None or ratio > widest[2]):
                widest = (p, module, ratio)
        return widest

    def _mostly_too_wide(self, run: Run, call: LossCall) -> tuple[ParameterInfo, ModuleInfo, float] | None:
        """The widest layer of the model that made the prediction, if most of its layers are too wide: one alone may be
        meant (Fourier features), or stand before a normalization.
        """
        root = call.input_module.partition(".")[0]
        layers = []
        for p in run.parameters:
            module, ratio = run.module(p.module), spread_ratio(run, p)
            mine = module is not None and module.path.partition(".")[0] == root and module.kind in ("linear", "conv")
            if p.role == "matrix" and module is not None and mine and ratio is not None:
                layers.append((p, module, ratio))
        wide = [layer for layer in layers if layer[2] > self.wide.value]
        return max(wide, key=lambda layer: layer[2]) if 2 * len(wide) > len(layers) else None

    def _of_numbers(self, run: Run, site: LossSite, of_layer: bool) -> Iterator[Finding]:
        """Predictions that start far from all targets, and have not come near them by the end."""
        calls = [c for c in run.training_calls() if c.site == site.index and c.value is not None]
        first = calls[0]
        spread = first.input_std + max(c.target_std for c in calls)
        variance, square = target_moments(calls)
        squared = site.function == "mse_loss"
        start, known = first.value or 0.0, square if squared else math.sqrt(square)
        offset = math.sqrt(max(start - spread**2, 0.0)) if squared else start - spread
        if not (math.isfinite(start) and start > self.times.value * known):
            return
        wide = first.target_std > 0 and first.input_std > self.apart.value * first.target_std
        blamed = self._mostly_too_wide(run, first) if wide else None
        if blamed is None and (not of_layer or offset <= self.apart.value * spread):
            return
        late = median([c.value for c in calls[-max(3, len(calls) // 4) :] if c.value is not None])
        if late < (variance if squared else math.sqrt(variance)):
            return  # training got over it
        if blamed is not None:
            yield self._of_wide(blamed, site, first, {"loss": start, "chance": known, "late": late})
            return
        bias = self._last_bias(run, first)
        yield Finding(
            f"Before the first step {site.function} is {start:.4g}; predicting 0 for everything scores {known:.3g}: "
            f"the predictions are {offset:.3g} away from the targets (mean {first.target_mean:.3g}, spread "
            f"{spread:.3g}), and after {calls[-1].step} steps the loss is {late:.3g}.",
            location=(bias.write_location if bias else None) or first.input_module_location or site.location,
            module=first.input_module,
            evidence={"loss": start, "chance": known, "offset": offset, "spread": spread, "late": late},
            fix="Start the last bias at the mean of the targets as the loss gets them: at 0 if these are standardized.",
        )

    @staticmethod
    def _of_wide(
        blamed: tuple[ParameterInfo, ModuleInfo, float], site: LossSite, first: LossCall, losses: dict[str, float]
    ) -> Finding:  # fmt: skip
        """Predictions that spread far wider than the targets, because weights do."""
        parameter, module, ratio = blamed
        return Finding(
            f"Before the first step {site.function} is {losses['loss']:.4g}; predicting 0 for everything scores "
            f"{losses['chance']:.3g}: the weights of {module.path} spread {ratio:.3g} times as wide as 1/√fan-in, the "
            f"predictions by {first.input_std:.3g} and the targets by {first.target_std:.3g}. At the end the loss is "
            f"{losses['late']:.3g}.",
            location=parameter.write_location or module.location or site.location,
            module=module.path,
            evidence={**losses, "output_std": first.input_std, "ratio": ratio},
            onset_step=0,
            fix=f"Initialize {module.path} with a spread of about 1/√fan-in, {1 / ratio:.2g} of what it has.",
            patch="reinit:default",
        )

    @staticmethod
    def _last_bias(run: Run, call: LossCall) -> ParameterInfo | None:
        """The bias of the layer that made the prediction: of the module itself, or of the last one called in it."""
        order = {
            m.index: m.order
            for m in run.modules
            if m.order >= 0 and f"{m.path}.".startswith(f"{call.input_module}.") and m.kind in ("linear", "conv")
        }
        biases = [p for p in run.parameters if p.module in order and p.role != "matrix"]
        return max(biases, key=lambda p: order[p.module], default=None)


def _written(module: ModuleInfo) -> str:
    """A module as the script calls it where it constructs it: ``self.film``; else by its path in the model."""
    code = module.location.code if module.location is not None else ""
    assigned = re.match(r"([\w.]+)\s*=[^=]", code.strip())
    return assigned[1] if assigned is not None else f"model.{module.path.partition('.')[2]}".rstrip(".")
