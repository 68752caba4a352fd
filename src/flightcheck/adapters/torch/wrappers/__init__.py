"""The thin replacements of PyTorch's entry points: each calls the original, tells the observer, and never raises.

All of them let the original through untouched while a model is being compiled, in other threads and in forked
workers. The only exception of ours that may leave them is `StopTraining`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flightcheck.adapters.torch import warning_lines
from flightcheck.adapters.torch.wrappers import (
    checkpointing,
    collectives,
    gradients,
    models,
    optimizers,
    states,
    surroundings,
    variables,
)

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def install(observer: TorchObserver) -> None:
    """Put every wrapper in; the observer's `Patches` own them."""
    for wrap in (
        models.modules, models.losses, gradients.backward, optimizers.optimizers, optimizers.schedulers,
        gradients.clipping, gradients.scaler, surroundings.loaders, models.compilation, surroundings.files,
        models.dropout, checkpointing.checkpointing, surroundings.processes, collectives.collectives,
        surroundings.arguments, states.state_dicts, states.copies, variables.variables,
    ):  # fmt: skip
        wrap(observer)
    warning_lines.install(observer.patches)
