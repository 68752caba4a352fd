"""C18: weights that were made equal, but not one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import ModuleInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import WEIGHT_NORM


@check(
    "C18",
    "tied-weights-broken",
    severity="warn",
    evidence="X",
    needs=("parameters", WEIGHT_NORM),
    fix="Tie the modules, not the numbers: head.weight = embedding.weight.",
)
class TiedWeightsBroken(Check):
    """The embedding and the output layer begin with the same weights, but are two parameters that drift apart.

    ## What it checks
    An embedding and a linear layer of the same model, both trained, whose matrices have one shape and equal values
    before the first step, but are two parameters; or two parameters on one memory (tied through `.data`).
    ## Why it matters
    The tie is gone after the first step: twice the parameters, and the output layer no longer learns with the
    embedding. On one memory each step is made twice, and `.to(device)` separates them.
    ## How to fix
    `head.weight = embedding.weight`, after resizing, loading and replacing of either.
    ## Source
    Press and Wolf 2017; transformers' `tie_weights`, which is called again after each resize.
    ## Known false alarms
    An output layer that is only to begin like the embedding. Loaded weights are left out.
    """

    looks = Param(2, "measured steps: the weights must have moved")

    def __call__(self, run: Run) -> Iterator[Finding]:
        embeddings = [(p, m) for p, m in self._matrices(run) if m.kind == "embedding"]
        layers = [(p, m) for p, m in self._matrices(run) if m.kind == "linear"]
        pairs = [
            (e, p, m, i) for e, i in embeddings for p, m in layers if p.shape == e.shape and m.root == i.root
        ]  # fmt: skip
        if not pairs:
            raise NotApplicable("no embedding and output layer of the same shape that are two parameters")
        for embedding, weight, layer, origin in pairs:
            shared = embedding.index == weight.shares_memory_with or weight.index == embedding.shares_memory_with
            if not shared and not (weight.first_values and weight.first_values == embedding.first_values):
                continue
            if not shared and not self._apart(run, embedding, weight):
                continue
            what = "lie in the same memory" if shared else "were equal before the first step and drift apart"
            yield Finding(
                f"The weights of {layer.path} and {origin.path} {what}, but are two parameters: the tie is "
                f"{'made of .data only' if shared else 'a copy'}.",
                location=weight.write_location or embedding.write_location or layer.location,
                module=layer.path,
                evidence={"shape": weight.shape, "same_memory": shared},
                fix=f"{layer.path.split('.')[-1]}.weight = {origin.path.split('.')[-1]}.weight",
                parameters=(embedding.index, weight.index),
            )

    @staticmethod
    def _matrices(run: Run) -> Iterator[tuple[ParameterInfo, ModuleInfo]]:
        for p in run.parameters:
            module = run.module(p.module)
            if len(p.shape) == 2 and run.trained(p) and module is not None and not p.loaded:
                yield p, module

    def _apart(self, run: Run, one: ParameterInfo, other: ParameterInfo) -> bool:
        """Both were trained, and their norms differ in the end."""
        table = run.table(WEIGHT_NORM, int(self.looks.value))
        a, b = table.column(one.index), table.column(other.index)
        if min(len(a), len(b)) < self.looks.value:
            raise NotEnoughEvidence(f"fewer than {self.looks.value:.0f} measured weights")
        return not np.isclose(a.values[-1], b.values[-1], rtol=1e-7, atol=0.0)
