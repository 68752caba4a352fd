"""C37: a list of layers that is one layer, several times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run
from flightcheck.recording.wiring import RepeatedModule

_MEANT: Final = re.compile(r"shar|\btie|_tie|same|univers|recurs|recurr|common|albert", re.IGNORECASE)
"""Words for one layer that is to be used several times."""
_SAID: Final = re.compile(
    r"\bshar(e|es|ed|ing)\b|\btied\b|\btying\b|\balbert\b|recurren|universal transf|same (param|weight)", re.IGNORECASE
)
"""The same in what an author writes about it."""


@check(
    "C37",
    "one-layer-repeated",
    severity="warn",
    evidence="H",
    needs=("RepeatedModule", "modules"),
    fix="Construct each layer anew: [nn.Linear(64, 64) for _ in range(4)], or copy.deepcopy(layer) in it.",
    patch="",
)
class OneLayerRepeated(Check):
    """A list of layers or models holds one and the same object several times.

    ## What it checks
    A `ModuleList`, `Sequential` or `ModuleDict` of a trained model that holds the same module with parameters at
    several places, where the source repeats a list (`[nn.Linear(64, 64)] * 4`, `[layer for _ in range(4)]`). Or a list
    of models that was made so, where several optimizers hold the same parameters.
    ## Why it matters
    `[layer] * 4` makes one layer and three further names for it. Four layers share their weights, four heads give the
    same answer, a batch normalization mixes the statistics of four places, an ensemble is one model.
    ## How to fix
    `[nn.Linear(64, 64) for _ in range(4)]`; of a layer that is made already, `copy.deepcopy(layer)` in its place.
    ## Source
    Python, FAQ ("How do I create a multidimensional list?"); PyTorch's `nn.TransformerEncoder` copies its layer.
    ## Known false alarms
    Weights that are to be shared over the depth. What is named so (shared, tied, recurrent …) is left out, also by a
    comment at the line or in the description of its class, as is the same layer called in a loop; elsewhere the trial
    with layers of their own decides.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.info.steps:
            raise NotEnoughEvidence("no optimizer stepped")
        if not any(m.kind == "container" or m.type in ("ModuleList", "ModuleDict") for m in run.modules) and not (
            run.recorded(RepeatedModule)
        ):
            raise NotApplicable("no model holds a list of layers")
        told = set()
        for repeated in run.recorded(RepeatedModule):
            module = run.module(repeated.module)
            line = repeated.location
            if module is None or line is None or line in told:
                continue
            if _MEANT.search(line.code) or _SAID.search(repeated.said):
                continue
            if repeated.places < 2 and not _several_hold(run, module):
                continue
            told.add(line)
            yield self._finding(run, repeated, module)

    @staticmethod
    def _finding(run: Run, repeated: RepeatedModule, module: ModuleInfo) -> Finding:
        line = repeated.location
        assert line is not None
        what = f"{repeated.places} places of {repeated.container} hold" if repeated.places else "The list holds"
        below = {m.index for m in run.modules if m.path == module.path or m.path.startswith(f"{module.path}.")}
        return Finding(
            f"{what} one and the same {module.type}: what stands in the list is repeated, not made anew, so that all "
            f"share {'their weights' if repeated.places else 'one set of weights, and each optimizer moves them'}.",
            location=line,
            module=module.path,
            evidence={"places": repeated.places, "type": module.type},
            parameters=tuple(p.index for p in run.parameters if p.module in below),
            patch=f"source:separate:{PurePath(line.file).name}:{line.line}",
        )


def _several_hold(run: Run, module: ModuleInfo) -> bool:
    """Several optimizers that were made at one line hold just the parameters of this model, before any step of one."""
    mine = {m.index for m in run.modules if m.root == module.root}
    own = {p.index for p in run.parameters if p.module in mine and p.requires_grad}
    held = [o for o in run.optimizers if o.steps and own and own == set(o.parameters) and o.created_at_step == 0]
    return len(held) > 1 and len({o.location for o in held}) == 1
