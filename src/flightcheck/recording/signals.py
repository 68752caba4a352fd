"""The closed list of numeric series that a run holds.

A signal is recorded as one float32 vector per sampled step: one element for scope ``step``, one per
optimizer, parameter or module for the other scopes (the index is that of the record in the run); for scope ``spread``
see `flightcheck.recording.distributions`.
`NOT_THERE` marks an element that does not exist in that step (a gradient that is ``None``, a module
that was not called), so that NaN keeps its meaning: a number that became NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Scope = Literal["step", "optimizer", "parameter", "module", "spread"]

NOT_THERE: Final = -1.0
"""Stands for "there is no such number in this step" in norms and shares, which are never negative."""


@dataclass(frozen=True)
class Signal:
    """One numeric series of a run: what is measured, for what, in which unit."""

    name: str
    scope: Scope
    unit: str
    description: str

    @property
    def in_words(self) -> str:
        """Its name for readers."""
        return _IN_WORDS.get(self.name, self.name.replace("_", " ").rpartition("/")[2])


_IN_WORDS: Final = {
    "lr": "learning rate", "grad_norm": "gradient norm", "grad_norm_total": "gradient norm over all parameters",
    "weight_norm": "weight norm", "update_norm": "size of the update", "activation_rms": "size of the outputs",
    "activation_spread": "spread of the outputs over the batch", "activation_dead": "dead units",
    "activation_grad": "gradient at the outputs", "activation_saturated": "saturated outputs",
}  # fmt: skip

LOSS = Signal("loss", "step", "loss", "value on which backward was called, last backward of the step")
ERROR = Signal(
    "error", "step", "nat or share of variance",
    "in trials: cross-entropy of the prediction, or its squared error over the variance of the targets, by us",
)  # fmt: skip
GRAD_NORM_TOTAL = Signal(
    "grad_norm_total", "step", "gradient", "L2 norm over all gradients that the optimizer was about to use"
)
LEARNING_RATE = Signal("lr", "optimizer", "1", "largest learning rate over the groups of each optimizer, at its step")
GRAD_NORM = Signal(
    "grad_norm", "parameter", "gradient", "L2 norm of .grad when the optimizer steps (after clipping, unscaled)"
)
WEIGHT_NORM = Signal("weight_norm", "parameter", "weight", "L2 norm of the parameter before the step")
UPDATE_NORM = Signal(
    "update_norm", "parameter", "weight", "L2 norm of the change that the step made; exactly 0 = bit-identical"
)
ACTIVATION_RMS = Signal("activation_rms", "module", "activation", "root mean square of the module's output")
ACTIVATION_SPREAD = Signal(
    "activation_spread",
    "module",
    "activation",
    "between-example standard deviation of the output: the mean over units of the std over the batch",
)
ACTIVATION_DEAD = Signal(
    "activation_dead",
    "module",
    "share",
    "share of units of an activation that fired for none of the last 1000 examples; at the first look: of that batch",
)
ACTIVATION_GRAD = Signal(
    "activation_grad", "module", "gradient", "root mean square of the gradient with respect to the module's output"
)
ACTIVATION_SATURATED = Signal(
    "activation_saturated", "module", "share", "share of outputs whose local derivative is under 1 % of its maximum"
)
WEIGHT_SPREAD = Signal(
    "weight_spread", "spread", "weight", "quantiles of a layer's weight before the step, at some steps"
)
GRADIENT_SPREAD = Signal(
    "gradient_spread", "spread", "gradient", "quantiles of its gradient, as the optimizer takes it"
)
OUTPUT_SPREAD = Signal("output_spread", "spread", "activation", "quantiles of a layer's output")
"""Packed otherwise than the rest: see `flightcheck.recording.distributions`."""
CPU_USE = Signal(
    "system/cpu", "step", "processors",
    "processor time of the training's process and those it started, per second, mean since the last look",
)  # fmt: skip
MEMORY = Signal("system/memory", "step", "MiB", "resident memory of the training's process")
GPU_MEMORY = Signal("system/gpu_memory", "step", "MiB", "memory that tensors hold, over all GPUs of the process")

SIGNALS: Final = (
    LOSS,
    ERROR,
    GRAD_NORM_TOTAL,
    LEARNING_RATE,
    GRAD_NORM,
    WEIGHT_NORM,
    UPDATE_NORM,
    ACTIVATION_RMS,
    ACTIVATION_SPREAD,
    ACTIVATION_DEAD,
    ACTIVATION_GRAD,
    ACTIVATION_SATURATED,
    WEIGHT_SPREAD,
    GRADIENT_SPREAD,
    OUTPUT_SPREAD,
    CPU_USE,
    MEMORY,
    GPU_MEMORY,
)
