"""P11: the wrong part of a model is frozen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import common_path, most_common
from flightcheck.recording.averages import WeightAverage
from flightcheck.recording.records import ParameterInfo, RootInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, UPDATE_NORM
from flightcheck.recording.wiring import UnknownFlag

_MEANT: Final = re.compile(r"random|reservoir|echo|fixed|frozen|fourier|hash", re.IGNORECASE)
"""Names of parts that are not to be trained."""


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
    whose running statistics still move (info); a model that is mostly frozen at random values (info, and a warning
    where a trial that trains it whole takes a quarter of the error away in each of three seeds); a frozen table of
    which a tenth of the rows or more are equal (words without a vector), where such a trial helps as much (warning). A
    line that was to freeze and sets an attribute that means nothing (`p.require_grad`, `module.requires_grad`).
    ## Why it matters
    A frozen random head limits what the model can say; a frozen backbone that drifts is no longer the pretrained one.
    ## How to fix
    Freeze before adding the new head, set the flags before building the optimizer, set the gradients to None.
    ## Source
    Chase Roberts, How to unit test machine learning code ("fixed variables stay fixed").
    ## Known false alarms
    Gradual unfreezing and GANs toggle the flag: parameters that ever had a gradient are left out. Adapters (LoRA)
    freeze all the rest on purpose; random features that the model's own class freezes, or that are named so, are
    information.
    """

    steps = Param(5, "momentum left over moves a parameter for many steps, a flag set in mid-step for one")
    trained = Param(2, "layers trained before a frozen output: one could be an input projection by design")
    random = Param(0.8, "share of matrix elements frozen at random values: more than a fixed feature or code book")

    def __call__(self, run: Run) -> Iterator[Finding]:
        ours = [p for p in run.parameters if p.module >= 0]
        if not ours:
            raise NotEnoughEvidence("no parameter of a called model was recorded")
        if told := list(self._by_unknown_flags(run)):
            yield from told
            return
        if all(p.requires_grad for p in ours):
            raise NotApplicable("nothing is frozen")
        yield from self._moving(run, ours)
        for root in run.roots:
            mine = [p for p in ours if (m := run.module(p.module)) and m.root == root.index]
            if any(run.trained(p) for p in mine):
                yield from self._random(run, root, mine)
                yield from self._alike(run, root)
                yield from self._statistics(run, root, mine)

    @staticmethod
    def _by_unknown_flags(run: Run) -> Iterator[Finding]:
        """A line that was to freeze and gives parameters, or a module, an attribute that means nothing to PyTorch."""
        for flag in run.recorded(UnknownFlag):
            trained = [p for i in flag.parameters for p in run.parameters if p.index == i and run.trained(p)]
            moving = [p for p in trained if p.updates_nonzero]
            if not moving or flag.location is None:
                continue
            paths = [m.path for p in moving if (m := run.module(p.module)) is not None]
            what = "A module has no such flag" if flag.of_module else "Parameters have no such flag"
            yield Finding(
                f"{what}: {flag.attribute} = False only adds an attribute, and the {len(moving)} parameters that it "
                "was to freeze are trained.",
                location=flag.location,
                module=common_path(paths),
                evidence={"attribute": flag.attribute, "parameters": len(moving)},
                parameters=tuple(p.index for p in moving),
                fix="requires_grad_(False) on the module, or requires_grad = False on each parameter.",
                patch=f"source:frozen:{PurePath(flag.location.file).name}:{flag.location.line}",
            )

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
        if _frozen_by_design(run, mine):
            return
        matrices = [p for p in mine if p.role == "matrix"]
        placed = [(run.module(p.module), p) for p in matrices]
        called = sorted(((m.order, p) for m, p in placed if m and m.order >= 0), key=lambda item: item[0])
        if root.loaded and not any(p.loaded for p in mine):
            return  # loaded, but which parts were is unknown
        if len(called) > self.trained.value:
            last = called[-1][1]
            before = [p for _, p in called[:-1] if run.trained(p)]
            if _frozen_random(last) and len(before) >= self.trained.value and last.in_graph is False:
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
        yield from self._mostly_random(run, root)

    @staticmethod
    def _alike(run: Run, root: RootInfo) -> Iterator[Finding]:
        """A frozen table many rows of which are one and the same, and a trial in which it helps much to train it."""
        e = next((e for e in run.experiments if (e.question, e.status) == ("P11", "confirmed")), None)
        for path, p in frozen_tables(run).items():
            module = run.module(p.module)
            if e is None or e.before is None or e.after is None or e.patch != f"unfreeze:{path}":
                continue
            if module is not None and module.root == root.index:
                yield Finding(
                    f"{100 * p.duplicate_rows:.0f} % of the rows of {path}, a frozen table, are equal to others: the "
                    f"model can never tell apart what they stand for. Trained as well, the {e.metric} after {e.steps} "
                    f"steps is {e.after:.3g} and not {e.before:.3g}.",
                    location=p.frozen_location or module.location,
                    module=path,
                    evidence={"duplicate_rows": p.duplicate_rows, "shape": p.shape},
                    parameters=(p.index,),
                    fix="Train the table, too: Embedding.from_pretrained(…, freeze=False).",
                    patch=e.patch,
                )

    def _mostly_random(self, run: Run, root: RootInfo) -> Iterator[Finding]:
        """Most of a model stays as it was drawn: a design with random features, unless training them helps by much."""
        found = frozen_at_random(run, self.random.value).get(root.name)
        if not found or not root.location:
            return
        share, frozen = found
        e = next((e for e in run.experiments if (e.question, e.status) == ("P11", "confirmed")), None)
        e = None if meant_to_be_random(frozen) else e
        percent = f"{100 * share:.0f} %" if share == 1 or share < 0.995 else "Over 99 %"
        text = f"{percent} of the matrix elements of {root.name} are frozen at random initial values; "
        text += "nothing was loaded into them."
        if e is not None and e.before is not None and e.after is not None:
            text += f" Trained as well, the {e.metric} after {e.steps} steps is {e.after:.3g} and not {e.before:.3g}."
        yield Finding(
            text,
            location=most_common(p.frozen_location for p in frozen) or root.location,
            module=root.name,
            evidence={"share": share},
            severity=None if e is not None else "info",
            parameters=tuple(p.index for p in frozen),
            fix="Load the pretrained weights before freezing, if there are any; else train these layers as well.",
            patch=f"unfreeze:{root.name}",
        )

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


def frozen_at_random(run: Run, most: float = 0.8) -> dict[str, tuple[float, list[ParameterInfo]]]:
    """Models of which this share of the matrix elements or more keeps random values: the share, and the matrices."""
    found = {}
    for root in run.roots:
        mine = [p for p in run.parameters if p.module >= 0 and (m := run.module(p.module)) and m.root == root.index]
        if not any(run.trained(p) for p in mine) or _frozen_by_design(run, mine):
            continue
        if root.loaded and not any(p.loaded for p in mine):
            continue
        matrices = [p for p in mine if p.role == "matrix"]
        frozen = [p for p in matrices if _frozen_random(p)]
        share = sum(p.numel for p in frozen) / max(1, sum(p.numel for p in matrices))
        if frozen and share >= most:
            found[root.name] = (share, frozen)
    return found


def frozen_tables(run: Run, least: float = 0.1) -> dict[str, ParameterInfo]:
    """Frozen embeddings, by their path, this share of whose rows or more are equal to others (a padding row is one)."""
    return {
        module.path: p
        for p in run.parameters
        if p.role == "embedding" and not p.requires_grad and p.duplicate_rows >= least
        and not p.constant and (module := run.module(p.module)) is not None and module.order >= 0
    }  # fmt: skip


def meant_to_be_random(frozen: list[ParameterInfo]) -> bool:
    """The model's own class freezes them, or their names say so: random features, a reservoir."""
    return any(
        _MEANT.search(p.name) or (p.frozen_location and p.frozen_location.function == "__init__") for p in frozen
    )


def _frozen_by_design(run: Run, mine: list[ParameterInfo]) -> bool:
    """Adapters beside a fixed model; opponents and agents; a target that follows the model as an average of it."""
    if any(a.updates for a in run.recorded(WeightAverage)):
        return True
    adapters = any(p.role == "matrix" and p.zero and run.trained(p) for p in mine)
    return adapters or any("lora" in p.name.lower() for p in mine) or run.in_regime("gan", "reinforcement")


def _frozen_random(p: ParameterInfo) -> bool:
    untouched = not (p.gradients_seen or p.gradients_nonzero or p.updates_nonzero)
    return not p.requires_grad and untouched and not (p.loaded or p.zero or p.constant or p.write_location)
