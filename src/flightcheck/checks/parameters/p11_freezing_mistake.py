"""P11: the wrong part of a model is frozen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import most_common
from flightcheck.recording.records import ParameterInfo, RootInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, UPDATE_NORM


@check(
    "P11",
    "freezing-mistake",
    severity="warn",
    evidence="X",
    needs=("parameters", "modules", GRAD_NORM, UPDATE_NORM),
    fix="Freeze the loaded part only, before building the optimizer, and leave the new layers trainable.",
)
class FreezingMistake(Check):
    """A frozen parameter moves, or the layer that is frozen is the new, random one.

    ## What it checks
    Parameters with `requires_grad=False` that the optimizer still moves without a gradient (momentum, weight decay);
    an output layer that is frozen at random values while layers before it are trained; batch norms of frozen parts
    whose running statistics still move (info); a model that is mostly frozen at random values (info).
    ## Why it matters
    A frozen random head limits what the model can say; a frozen backbone that drifts is no longer the pretrained one.
    ## How to fix
    Freeze before adding the new head, set the flags before building the optimizer, set the gradients to None.
    ## Source
    Chase Roberts, How to unit test machine learning code ("fixed variables stay fixed").
    ## Known false alarms
    Gradual unfreezing and GANs toggle the flag: parameters that ever had a gradient are left out. Adapters (LoRA)
    freeze all the rest on purpose; fixed random features are info only.
    """

    steps = Param(5, "momentum left over moves a parameter for many steps, a flag set in mid-step for one")
    trained = Param(2, "layers trained before a frozen output: one could be an input projection by design")
    random = Param(0.8, "share of matrix elements frozen at random values: more than a fixed feature or code book")

    def __call__(self, run: Run) -> Iterator[Finding]:
        ours = [p for p in run.parameters if p.module >= 0]
        if not ours:
            raise NotEnoughEvidence("no parameter of a called model was recorded")
        if all(p.requires_grad for p in ours):
            raise NotApplicable("nothing is frozen")
        yield from self._moving(run, ours)
        for root in run.roots:
            mine = [p for p in ours if (m := run.module(p.module)) and m.root == root.index]
            if any(run.trained(p) for p in mine):
                yield from self._random(run, root, mine)
                yield from self._statistics(run, root, mine)

    def _moving(self, run: Run, ours: list[ParameterInfo]) -> Iterator[Finding]:
        frozen = [p for p in ours if not p.requires_grad and p.optimizers and p.updates_nonzero]
        if not frozen:
            return
        updates, gradients = run.table(UPDATE_NORM, int(self.steps.value)), run.table(GRAD_NORM, int(self.steps.value))
        tail = int(self.steps.value)
        moved = []
        for p in frozen:
            u = updates.column(p.index).values[-tail:]
            g = gradients.column(p.index).values
            idle = len(g) < tail or bool((g[-tail:] == 0).all()) or float(np.ptp(g[-tail:])) == 0.0
            if len(u) == tail and np.isfinite(u).all() and (u > 0).all() and idle:
                moved.append(p)
        if moved:
            yield Finding(
                f"{len(moved)} frozen parameter{'s' if len(moved) > 1 else ''} "
                f"({', '.join(p.name for p in moved[:3])}) moved in each of the last {tail} measured steps without "
                "a new gradient: the optimizer still applies momentum, decay or an old gradient.",
                location=run.location_of(moved[0]),
                evidence={"parameters": len(moved)},
                parameters=tuple(p.index for p in moved),
                fix="Set p.grad = None for frozen parameters, or leave them out of the optimizer.",
            )

    def _random(self, run: Run, root: RootInfo, mine: list[ParameterInfo]) -> Iterator[Finding]:
        matrices = [p for p in mine if p.role == "matrix"]
        adapters = any(p.zero and run.trained(p) for p in matrices) or any("lora" in p.name.lower() for p in mine)
        if adapters or run.in_regime("gan", "reinforcement"):
            return
        placed = [(run.module(p.module), p) for p in matrices]
        called = sorted(((m.order, p) for m, p in placed if m and m.order >= 0), key=lambda item: item[0])
        some_known = any(p.loaded for p in mine)
        if root.loaded and not some_known:
            return  # loaded, but which parts were is unknown
        if len(called) > self.trained.value:
            last = called[-1][1]
            before = [p for _, p in called[:-1] if run.trained(p)]
            if self._frozen_random(last) and len(before) >= self.trained.value and last.in_graph is False:
                module = run.module(last.module)
                using = [o for o in run.optimizers if o.steps and any(o.index in p.optimizers for p in mine)]
                latest = max(using, key=lambda o: o.created_at_step)
                yield Finding(
                    f"The output layer {module.path if module else last.name} is frozen at its random initial values, "
                    f"while {len(before)} layers before it are trained.",
                    location=last.frozen_location or latest.freeze_location or run.location_of(last),
                    module=module.path if module else "",
                    evidence={"trained_before": len(before), "shape": last.shape},
                    onset_step=latest.created_at_step,
                    parameters=(last.index,),
                    fix="Set requires_grad=True for the new output layer, before the optimizer is built.",
                    patch=f"unfreeze:{module.path}" if module and module.path != root.name else "",
                )
                return
        total = sum(p.numel for p in matrices)
        frozen = [p for p in matrices if self._frozen_random(p)]
        share = sum(p.numel for p in frozen) / total if total else 0.0
        if share >= self.random.value and root.location:
            yield Finding(
                f"{100 * share:.0f} % of the matrix elements of {root.name} are frozen at random initial values; "
                "nothing was loaded into them.",
                location=most_common(p.frozen_location for p in frozen) or root.location,
                module=root.name,
                evidence={"share": share},
                severity="info",
                parameters=tuple(p.index for p in frozen),
                fix="Load the pretrained weights before freezing, if there are any.",
            )

    @staticmethod
    def _frozen_random(p: ParameterInfo) -> bool:
        untouched = not (p.gradients_seen or p.gradients_nonzero or p.updates_nonzero)
        return not p.requires_grad and untouched and not (p.loaded or p.zero or p.constant or p.write_location)

    def _statistics(self, run: Run, root: RootInfo, mine: list[ParameterInfo]) -> Iterator[Finding]:
        frozen = {p.module for p in mine if not p.requires_grad} - {p.module for p in mine if p.requires_grad}
        norms = [m for m in run.modules if m.index in frozen and m.kind == "batchnorm" and m.training]
        if norms and root.loaded:
            yield Finding(
                f"{len(norms)} batch norm layers of {root.name} have frozen weights but are in training mode: their "
                "running statistics still drift from the pretrained ones.",
                location=norms[0].location,
                module=norms[0].path,
                evidence={"layers": len(norms)},
                severity="info",
                fix="Call .eval() on the frozen part after model.train().",
            )
