"""Patches at work: each changes a training at one of its boundaries, in a process or on a copy that is thrown away.

Patches lie over the observer's wrappers, so that what is recorded is the patched training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from flightcheck.adapters.torch import probes
from flightcheck.adapters.torch.patching import (
    batches,
    cuts,
    losses,
    modules,
    operations,
    precision,
    protocol,
    sequences,
    shifts,
    steps,
)
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.patching.scoring import Scoring
from flightcheck.patch import Patch

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def _probe(boundaries: Boundaries, patch: Patch) -> None:
    """Looked up when it is needed, since the probes import the boundaries of this package."""
    probes.install(boundaries, patch)


def _targets(boundaries: Boundaries, patch: Patch) -> None:
    install_targets = shifts.unshift if patch.value == "unshift" else losses.targets
    install_targets(boundaries, patch)


INSTALLERS: Final[dict[str, Callable[[Boundaries, Patch], None]]] = {
    "lr": steps.learning_rate,
    "optimizer": steps.optimizer,
    "scheduler": steps.scheduler,
    "clip": steps.clip,
    "regularization": modules.regularization,
    "freeze-batch": batches.freeze,
    "shuffle": batches.shuffle,
    "inputs": batches.inputs,
    "targets": _targets,
    "drop-module": operations.drop,
    "swap-activation": operations.swap_activation,
    "insert-norm": modules.insert_norm,
    "loss": losses.swap,
    "align-shapes": operations.align,
    "reinit": modules.reinitialize,
    "precision": precision.precision,
    "epsilon": steps.epsilon,
    "zero-grad": protocol.zero_grad,
    "step": protocol.step,
    "keep-state": protocol.keep_state,
    "add-parameters": steps.add_parameters,
    "unfreeze": steps.unfreeze,
    "keep-graph": cuts.keep_graph,
    "clamp": operations.clamp,
    "mode": modules.mode,
    "last-step": sequences.last_step,
    "unscale-first": steps.unscale_first,
    "probe": _probe,
}


def install(observer: TorchObserver, patches: Iterable[Patch]) -> Boundaries:
    """Put patches into a training that is watched; call after ``observer.install()``.

    Returns:
        The boundaries, whose ``applied`` counts how often each patch acted.
    """
    boundaries = Boundaries(observer)
    Scoring(observer).install(boundaries)
    for patch in patches:
        INSTALLERS[patch.kind](boundaries, patch)
    return boundaries
