"""C09: at the start, the output hardly depends on the example any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import (
    Floats,
    Layer,
    at_row,
    common_path,
    improvement,
    most_common,
    spread_ratio,
    stacks,
    trained_roots,
    written_at,
)
from flightcheck.recording.records import ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ACTIVATION_RMS, ACTIVATION_SPREAD

CENTRED: Final = "reinit:xavier"
"""The patch with weights around zero."""
_MANY: Final = 64
"""Weights of one sign by chance: once in 2 to the 63rd."""


@check(
    "C09",
    "signal-lost-at-init",
    severity="warn",
    evidence="H",
    needs=(ACTIVATION_RMS, ACTIVATION_SPREAD),
    fix="Initialize with He's (ReLU) or Xavier's (tanh) rule, or add residual connections and normalization.",
    patch="reinit:kaiming | reinit:default | insert-norm:layer",
)
class SignalLostAtInit(Check):
    """Before the first step, what distinguishes the examples vanishes or explodes from layer to layer.

    ## What it checks
    In the first measured step, the standard deviation *between examples* per layer: it falls below 1e-3 of the
    activation's size, or changes by more than 1000 from the first to the last hidden layer. Warn if it also stays
    lost, or the loss does not fall; info if training got over it. Or: every matrix starts with less than a fiftieth of
    the usual spread 1/√fan-in, and the loss does not fall. Or, where a trial with weights drawn anew learns: the
    spread of weights is ten times above or below 1/√fan-in. Or: in half of the matrices or more all weights start with
    one sign, and the loss does not fall, or a trial with weights drawn around zero learns better.
    ## Why it matters
    Layers after the loss of signal see the same input for every example: they can learn a constant and nothing else.
    The scale over all elements cannot show it, for biases keep that up.
    ## How to fix
    He initialization with fan-in for ReLU, residual connections, normalization; remove hand-made tiny or huge scales.
    ## Source
    He et al. 2015; Schoenholz et al. 2017. Default initialization loses a factor of 2.4 per plain ReLU layer.
    ## Known false alarms
    Zero-initialized layers are left out. A large bias set at the output on purpose is: hidden layers decide.
    """

    layers = Param(3, "fewer layers cannot lose much")
    relative = Param(1e-3, "healthy layers had more than 3e-3, also at depth 10 with the default initialization")
    change = Param(1e3, "the factor of 8 plain ReLU layers with the default initialization, which still learn")
    unusual = Param(10.0, "times 1/√fan-in or its inverse: usual initializations have 0.5 to 1.4")
    tiny = Param(0.02, "of 1/√fan-in: small on purpose are GPT-2 (0.02 absolute, 0.1 and more) and SIREN (0.05)")
    examples = Param(8, "a spread between fewer examples says little")
    improved = Param(0.02, "a loss that falls by more than 2 % is learning")
    recovered = Param(1e-2, "output that differs by 1 % of its size between examples carries signal again")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = list(self._proved(run)) or list(self._all_tiny(run)) or list(self._one_sign(run))
        yield from found or self._measured(run)

    def _all_tiny(self, run: Run) -> Iterator[Finding]:
        """No matrix of a model has anything like a usual spread, and nothing was learned: dropout hides the loss of
        signal, as it makes examples differ.
        """
        if run.in_regime("reinforcement", "gan"):
            return
        for stack in stacks(run):
            chosen = stack.layers
            ratios = [spread_ratio(run, layer.matrix) for layer in chosen]
            known = [r for r in ratios if r is not None and 0 < r < self.tiny.value]
            if len(chosen) < self.layers.value or len(known) < len(chosen) or any(x.matrix.loaded for x in chosen):
                continue
            if improvement(run) >= self.improved.value:
                continue
            yield Finding(
                f"The weights of all {len(chosen)} matrices start with {max(known):.2g} times the usual spread "
                f"1/√fan-in or less (limit {self.tiny.value:g}), and the loss has not fallen since.",
                location=written_at(run, (layer.module.index for layer in chosen)) or chosen[0].module.location,
                module=common_path(layer.module.path for layer in chosen),
                evidence={"highest": max(known), "matrices": len(chosen)},
                parameters=tuple(layer.matrix.index for layer in chosen),
            )

    def _one_sign(self, run: Run) -> Iterator[Finding]:
        """Most matrices of a model start with elements of one sign alone, and nothing was learned: all units say the
        same, and say it louder from layer to layer.
        """
        told = set()
        proof = any(e.status == "confirmed" for e in run.experiments if (e.question, e.patch) == ("C09", CENTRED))
        for root in trained_roots(run):
            odd, of = one_signed(run, root)
            if not odd or (not proof and improvement(run) >= self.improved.value):
                continue
            line = written_at(run, (p.module for p in odd)) or run.location_of(odd[0])
            if line in told:
                continue
            told.add(line)
            yield Finding(
                f"In {len(odd)} of {of} matrices all weights start with one and the same sign (drawn around a mean far "
                + ("from zero)" if proof else "from zero), and the loss has not fallen since")
                + ": all units of a layer say the same.",
                location=line,
                module=common_path(m.path for p in odd if (m := run.module(p.module))),
                evidence={"one_sign": len(odd), "matrices": of},
                parameters=tuple(p.index for p in odd),
                patch=CENTRED if proof else "",
            )

    def _proved(self, run: Run) -> Iterator[Finding]:
        """Weights drawn anew learn, and the script's own are far from any usual spread."""
        e = next((e for e in run.experiments if (e.question, e.status) == ("C09", "confirmed")), None)
        if e is None or e.before is None or e.after is None:
            return
        ratios = {p.index: spread_ratio(run, p) for p in run.parameters if p.role == "matrix" and run.trained(p)}
        low, high = 1 / self.unusual.value, self.unusual.value
        odd = [run.parameters[i] for i, r in ratios.items() if r is not None and not low < r < high]
        if not odd:
            return
        spreads = [r for p in odd if (r := ratios[p.index]) is not None]
        span = f"{min(spreads):.2g}" + (f" to {max(spreads):.2g}" if len(odd) > 1 else "")
        names = ", ".join(p.name for p in odd[:2]) + (" …" if len(odd) > 2 else "")
        yield Finding(
            f"The weights of {len(odd)} of {len(ratios)} matrices start with {span} times the usual spread 1/√fan-in "
            f"({names}). Drawn anew, the {e.metric} after {e.steps} steps is {e.after:.3g} "
            f"and not {e.before:.3g}.",
            location=written_at(run, {p.module for p in odd}) or most_common(run.location_of(p) for p in odd),
            module=common_path(m.path for p in odd if (m := run.module(p.module))),
            evidence={"lowest": min(spreads), "highest": max(spreads), "matrices": len(odd)},
            parameters=tuple(p.index for p in odd),
            patch=e.patch,
        )

    def _measured(self, run: Run) -> Iterator[Finding]:
        spread, rms = run.table(ACTIVATION_SPREAD), run.table(ACTIVATION_RMS)
        sizes = [b.shape[0] for b in run.batches if b.training and b.shape]
        if sizes and max(sizes) < self.examples.value:
            raise NotEnoughEvidence(f"batches of {max(sizes)} examples are too small to compare examples")
        if any(r.loaded for r in run.roots) or run.in_regime("reinforcement"):
            raise NotApplicable("pretrained weights, or states that hardly differ at the start")
        if spread.steps[0] > 2:
            raise NotEnoughEvidence("the first steps were not measured")
        judged = False
        for stack in stacks(run):
            chosen = [layer for layer in stack.layers if not layer.symmetric]
            spreads = np.array([at_row(spread, 0, layer.module.index) for layer in chosen])
            scales = np.array([at_row(rms, 0, layer.module.index) for layer in chosen])
            there = np.isfinite(spreads) & np.isfinite(scales) & (scales > 0)
            chosen = [layer for layer, ok in zip(chosen, there) if ok]
            if len(chosen) < self.layers.value:
                continue
            judged = True
            finding = self._judge(run, chosen, spreads[there], scales[there])
            if finding is not None:
                yield finding
        if not judged:
            raise NotApplicable(f"no model with {self.layers.value:.0f} layers whose output was measured")

    def _judge(self, run: Run, chosen: list[Layer], spreads: Floats, scales: Floats) -> Finding | None:
        relative = spreads / scales
        first, last = max(float(spreads[0]), 1e-30), max(float(spreads[-2]), 1e-30)
        fades = first / last > self.change.value or relative[-2] < min(self.relative.value, relative[0] / 30)
        lost = fades and relative[-1] < 10 * self.relative.value
        tiny = first / last > self.change.value and spreads[-1] * self.change.value < first
        explodes = min(last, float(spreads[-1])) / first > self.change.value
        if not (lost or tiny or explodes) or spreads[0] == 0.0:
            return None
        if relative[0] < self.relative.value and not self._inputs_vary(run):
            return None  # the input itself is nearly the same for all examples: D03
        place = int(np.argmax((relative < self.relative.value) | (np.abs(np.log10(spreads / first + 1e-30)) > 3)))
        what = "explodes" if explodes else "is lost"
        text = f"At the start the signal {what}: the spread between examples goes from {spreads[0]:.2g} after "
        text += (
            f"{chosen[0].module.path} to {spreads[-2]:.2g} after {chosen[-2].module.path} ({relative[-2]:.1g} of its "
        )
        text += f"size; limits: a factor of {self.change.value:g}, a share of {self.relative.value:g})."
        harmless = not explodes and self._recovers(run, chosen[-1].module.index)
        return Finding(
            text + (" Training got over it." if harmless else ""),
            location=written_at(run, (layer.module.index for layer in chosen)) or chosen[place].module.location,
            module=common_path(layer.module.path for layer in chosen),
            evidence={"first": first, "last": last, "relative": float(relative[-2]), "layers": len(chosen)},
            severity="info" if harmless else None,
            parameters=tuple(layer.matrix.index for layer in chosen),
        )

    def _inputs_vary(self, run: Run) -> bool:
        offsets = [b.feature_offset_max for b in run.batches if b.training and b.feature_offset_max is not None]
        return bool(offsets) and max(offsets) < 0.1 / self.relative.value

    def _recovers(self, run: Run, last: int) -> bool:
        """At the end the output depends on the example, and the loss fell."""
        spread, rms = run.table(ACTIVATION_SPREAD), run.table(ACTIVATION_RMS)
        if len(spread) < 3:
            raise NotEnoughEvidence("the signal is lost at the start; whether training gets over it was not seen")
        back = at_row(spread, -1, last) > self.recovered.value * at_row(rms, -1, last)
        return back and improvement(run) >= self.improved.value


def one_signed(run: Run, root: int) -> tuple[list[ParameterInfo], int]:
    """The matrices of a model whose weights all start with one sign, if these are two and half of all at least; and how
    many matrices there are.

    Matrices that the model itself holds are no layers, but factors of a product or tables.
    """
    inner = {m.index for m in run.modules if m.root == root and ("." in m.path or m.kind in ("linear", "conv"))}
    matrices = [
        p for p in run.parameters if p.role == "matrix" and p.module in inner and run.trained(p) and not p.loaded
    ]
    odd = [p for p in matrices if p.one_sign and not p.constant and p.numel >= _MANY]
    return (odd, len(matrices)) if len(odd) > 1 and 2 * len(odd) >= len(matrices) else ([], len(matrices))
