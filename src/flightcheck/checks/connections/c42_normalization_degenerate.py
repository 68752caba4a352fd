"""C42: a normalization that has one value to normalize, or divides by its epsilon."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run
from flightcheck.recording.states import BatchStatistics

_USUAL: Final = 1e-5
"""PyTorch's epsilon."""


@check(
    "C42",
    "normalization-degenerate",
    severity="error",
    evidence="X",
    needs=("modules", "batch_statistics"),
    fix="Normalize over more than one value, with the usual epsilon of 1e-5.",
)
class NormalizationDegenerate(Check):
    """A normalization is given single values, so that it returns a constant, or divides by its epsilon.

    ## What it checks
    (a) A LayerNorm over one feature, or a GroupNorm whose groups hold one value each: a number minus its own mean is 0.
    (b) A BatchNorm whose epsilon is larger than the variance of most of its channels, and a hundred times the usual one
    or more: what it divides by is the epsilon. With a larger variance such an epsilon is information.
    ## Why it matters
    (a) Whatever goes in, the layer's bias comes out: what comes before it is neither used nor trained. (b) The values
    stay as small as they were, and so does what is learnt from them. `nn.BatchNorm1d(64, 0.8)` sets the epsilon: the
    second argument is not the momentum.
    ## How to fix
    (a) Leave the layer out, or normalize over another axis. (b) Name the arguments: `momentum=0.8`.
    ## Source
    PyTorch, LayerNorm, GroupNorm and BatchNorm1d (signature).
    ## Known false alarms
    None known of (a). An epsilon that is large on purpose, to spare channels that hardly vary, looks like (b).
    """

    large = Param(1e-3, "a hundred times the usual epsilon; in common use are 1e-3 (Keras, Inception) to 1e-6")
    dominates = Param(0.5, "of the channels: most are divided by epsilon and not by what they vary")
    calls = Param(3, "training calls of a group normalization: its values per group are no accident")

    def __call__(self, run: Run) -> Iterator[Finding]:
        called = [m for m in run.modules if m.kind in ("norm", "batchnorm") and m.order >= 0]
        if not called:
            raise NotApplicable("no normalization was called in training")
        single = [m for m in called if _single(m)]
        if single:
            yield self._constant(single)
        statistics = {n.module: n for n in run.batch_statistics}
        large = [m for m in called if float(m.settings.get("eps") or 0.0) > self.large.value]
        known = [(m, statistics[m.index]) for m in large if m.index in statistics and m.kind == "batchnorm"]
        seen = [(m, n) for m, n in known if n.below_epsilon is not None]
        if seen:
            yield self._epsilon(seen)
        elif known and not single:
            raise NotEnoughEvidence("the variances beside a large epsilon are not known yet")

    def _constant(self, single: list[ModuleInfo]) -> Finding:
        first = min(single, key=lambda m: m.order)
        more = f" and {len(single) - 1} more" if len(single) > 1 else ""
        return Finding(
            f"{first.path}{more} ({first.type}) normalizes single values: each number minus its own mean is 0, so that "
            "the output is the same for every input.",
            location=first.location,
            module=first.path,
            evidence={"values": 1, "layers": len(single)},
            patch="+".join(f"bypass:{m.path}" for m in single),
            fix=f"Leave {first.path} out, or normalize over an axis that holds more than one value.",
        )

    def _epsilon(self, seen: list[tuple[ModuleInfo, BatchStatistics]]) -> Finding:
        worst, stats = max(seen, key=lambda s: s[1].below_epsilon or 0.0)
        eps = float(worst.settings["eps"])
        share = stats.below_epsilon or 0.0
        loud = share > self.dominates.value
        return Finding(
            f"{worst.path} has eps={eps:g}, and {share:.0%} of its channels have a smaller variance: "
            + ("it divides by the epsilon, and normalizes nothing." if loud else "the others are normalized."),
            location=worst.location,
            module=worst.path,
            evidence={"epsilon": eps, "share": share, "layers": len(seen)},
            severity="warn" if loud else "info",
            patch=f"batchnorm:eps={_USUAL:g}",
            fix=f"If {eps:g} is meant as the momentum: momentum={eps:g}. Leave eps at {_USUAL:g}.",
        )


def _single(norm: ModuleInfo) -> bool:
    """It subtracts the mean of one value."""
    shape = norm.settings.get("normalized_shape")
    if norm.type == "LayerNorm" and shape:
        return math.prod(shape if isinstance(shape, list) else [shape]) == 1
    return norm.type == "GroupNorm" and norm.settings.get("group_values") == 1
