"""C29: biases that the normalization behind them takes away."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import ModuleInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM
from flightcheck.recording.tables import Table

SUBTRACTS_CHANNEL_MEAN = ("BatchNorm", "SyncBatchNorm", "InstanceNorm")


@check(
    "C29",
    "bias-or-decay-with-norm",
    severity="info",
    evidence="X",
    needs=(GRAD_NORM,),
    fix="Build the layer with bias=False: the normalization has a bias of its own.",
)
class BiasOrDecayWithNorm(Check):
    """A layer has a bias that the normalization right after it subtracts again.

    ## What it checks
    A linear or convolutional layer whose next called module is a batch or instance normalization of the same width, and
    whose bias has a gradient of zero up to rounding, compared with that of its weight.
    ## Why it matters
    The bias does nothing: it costs memory and a little time, and is a sign that the layers were put together without
    the normalization in mind.
    ## How to fix
    `bias=False` in the layer before the normalization.
    ## Source
    Ioffe and Szegedy 2015, section 3.2; NeuraLint's useless bias.
    ## Known false alarms
    Normalization with frozen statistics keeps the bias useful; its gradient is then not zero, and nothing is said.
    Layer and group normalization do not subtract the mean of a channel, and are not looked at.
    """

    rounding = Param(1e-4, "float32 leaves about 1e-6 of the weight's gradient; a bias that counts has about its size")
    looks = Param(3, "measured steps; a gradient that is zero by chance does not stay so")

    def __call__(self, run: Run) -> Iterator[Finding]:
        pairs = list(self._pairs(run))
        if not pairs:
            raise NotApplicable("no layer with a bias right before a batch or instance normalization")
        table = run.table(GRAD_NORM, int(self.looks.value))
        found = [m for m, bias, weight in pairs if self._taken_away(table, bias, weight)]
        if not found:
            return
        names = ", ".join(m.path for m in found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        yield Finding(
            f"The biases of {names} do nothing: the normalization behind each layer subtracts them, and their gradient "
            "is zero up to rounding.",
            location=found[0].location,
            module=found[0].path,
            evidence={"layers": [m.path for m in found]},
        )

    @staticmethod
    def _pairs(run: Run) -> Iterator[tuple[ModuleInfo, ParameterInfo, ParameterInfo]]:
        """Layers with a bias right before a normalization: the layer, its bias, its weight."""
        leaves = sorted((m for m in run.modules if m.leaf and m.order >= 0), key=lambda m: (m.root, m.order))
        owned: dict[int, dict[str, ParameterInfo]] = {}
        for p in run.parameters:
            owned.setdefault(p.module, {})[p.role] = p
        for layer, norm in pairwise(leaves):
            own = owned.get(layer.index, {})
            width = layer.settings.get("out_features", layer.settings.get("out_channels"))
            fits = width is not None and width == norm.settings.get("num_features")
            fits &= layer.root == norm.root and layer.kind in ("linear", "conv")
            fits &= norm.type.removeprefix("Lazy").startswith(SUBTRACTS_CHANNEL_MEAN)
            if fits and "matrix" in own and "bias" in own and own["bias"].requires_grad:
                yield layer, own["bias"], own["matrix"]

    def _taken_away(self, table: Table, bias: ParameterInfo, weight: ParameterInfo) -> bool:
        small, large = table.column(bias.index), table.column(weight.index)
        of_weight = dict(zip(large.steps.tolist(), large.values.tolist()))
        looks = [(v, of_weight[s]) for s, v in zip(small.steps.tolist(), small.values.tolist()) if of_weight.get(s)]
        if len(looks) < self.looks.value:
            raise NotEnoughEvidence(f"{len(looks)} of {self.looks.value:.0f} measured gradients")
        return all(b <= self.rounding.value * w for b, w in looks)
