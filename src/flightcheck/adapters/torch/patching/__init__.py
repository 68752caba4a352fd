"""Patches at work: each changes a training at one of its boundaries, in a process or on a copy that is thrown away.

Patches lie over the observer's wrappers, so that what is recorded is the patched training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from flightcheck.adapters.torch import probes
from flightcheck.adapters.torch.patching import (
    accumulation,
    anew,
    attention_scales,
    batches,
    batchnorms,
    carrying,
    causal,
    collating,
    cuts,
    draws,
    dropouts,
    dropping,
    episode_ends,
    exchanged_losses,
    extremes,
    following,
    heads,
    held_data,
    held_weights,
    hooks,
    inputs,
    iterators,
    joined_graphs,
    judging,
    layouts,
    loading,
    loading_late,
    loading_trained,
    loading_turned,
    losses,
    masks,
    metrics,
    modules,
    noise_levels,
    operations,
    options,
    orders,
    picks,
    places,
    precision,
    protocol,
    reseeding,
    restored,
    samplers,
    schedules,
    sequences,
    shifts,
    signed,
    sources,
    steps,
    targets,
    temperatures,
    weights,
    wiring,
)
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.patching.printing import Printing
from flightcheck.adapters.torch.patching.scoring import Scoring
from flightcheck.patch import Patch

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def _probe(boundaries: Boundaries, patch: Patch) -> None:
    """Looked up when it is needed, since the probes import the boundaries of this package."""
    probes.install(boundaries, patch)


def _inputs(boundaries: Boundaries, patch: Patch) -> None:
    by_name = {"finite": inputs.finite, "as-training": inputs.as_training, "turned": inputs.turned}
    by_name["known"] = held_data.without_stand_ins
    if patch.value in by_name:
        by_name[patch.value](boundaries, patch)
    elif patch.value.startswith("begin="):
        inputs.begun(boundaries, patch)
    elif patch.value.startswith("x"):
        inputs.scaled(boundaries, patch)
    else:
        batches.inputs(boundaries, patch)


def _scheduler(boundaries: Boundaries, patch: Patch) -> None:
    (schedules.each_step if patch.value == "batch" else steps.scheduler)(boundaries, patch)


def _shuffle(boundaries: Boundaries, patch: Patch) -> None:
    by_name = {"together": samplers.together, "collated": collating.collated, "repeated": held_data.repeated}
    by_name.get(patch.value, batches.shuffle)(boundaries, patch)


def _targets(boundaries: Boundaries, patch: Patch) -> None:
    by_name = {"unit": targets.unit, "signs": targets.signs, "shift-1": targets.shift, "finite": targets.finite}
    by_name["opposite"], by_name["sorted"] = targets.opposite, targets.by_length
    by_name["known"] = targets.known
    by_name["unshift"] = by_name["next"] = shifts.unshift
    by_name.get(patch.value.partition("=")[0], losses.targets)(boundaries, patch)


def _loss(boundaries: Boundaries, patch: Patch) -> None:
    by_name = {"ignore": targets.ignore, "balanced": targets.balanced, "turned": targets.turned, "roles": targets.roles}
    by_name.get(patch.value.partition("=")[0], exchanged_losses.swap)(boundaries, patch)


def _load(boundaries: Boundaries, patch: Patch) -> None:
    of_value = {"late": loading_late.late, "trained": loading_trained.trained}
    of_value["buffers"], of_value["turned"] = loading_trained.buffers, loading_turned.turned
    of_value.get(patch.value, loading.load)(boundaries, patch)


def _loader(boundaries: Boundaries, patch: Patch) -> None:
    (restored.restored if patch.value == "restored" else iterators.continued)(boundaries, patch)


def _zero_grad(boundaries: Boundaries, patch: Patch) -> None:
    by_name = {
        "closure": protocol.zero_grad_in_closures,
        "evaluation": protocol.zero_grad_once_an_evaluation,
        "by-hand": protocol.zero_grad_by_hand,
    }
    by_name.get(patch.value, protocol.zero_grad)(boundaries, patch)


def _reinit(boundaries: Boundaries, patch: Patch) -> None:
    (modules.drawn_once if patch.value == "never" else modules.reinitialize)(boundaries, patch)


def _mask(boundaries: Boundaries, patch: Patch) -> None:
    (causal.causal if patch.value == "causal" else masks.mask)(boundaries, patch)


INSTALLERS: Final[dict[str, Callable[[Boundaries, Patch], None]]] = {
    "lr": steps.learning_rate,
    "optimizer": steps.optimizer,
    "scheduler": _scheduler,
    "clip": steps.clip,
    "regularization": modules.regularization,
    "freeze-batch": batches.freeze,
    "shuffle": _shuffle,
    "reseed": reseeding.off,
    "sampler": samplers.sampler,
    "inputs": _inputs,
    "targets": _targets,
    "drop-module": dropping.drop,
    "swap-activation": operations.swap_activation,
    "insert-activation": modules.insert_activation,
    "insert-norm": modules.insert_norm,
    "head": heads.classes,
    "edges": joined_graphs.edges,
    "episode-end": episode_ends.episode_end,
    "temperature": temperatures.temperature,
    "extreme": extremes.extreme,
    "signed": signed.signed,
    "hooks": hooks.once,
    "inverse-order": orders.inverse_order,
    "weights-held": held_weights.held,
    "weights-turned": held_weights.turned,
    "attention-scale": attention_scales.attention_scale,
    "noise-level": noise_levels.noise_level,
    "loss": _loss,
    "axes": layouts.axes,
    "term": weights.term,
    "align-shapes": operations.align,
    "reinit": _reinit,
    "precision": precision.precision,
    "options": options.moved,
    "epsilon": steps.epsilon,
    "zero-grad": _zero_grad,
    "step": protocol.step,
    "keep-state": protocol.keep_state,
    "add-parameters": steps.add_parameters,
    "keep-modules": anew.keep_modules,
    "old-graphs": protocol.old_graphs,
    "unfreeze": steps.unfreeze,
    "keep-graph": cuts.keep_graph,
    "mixed-up": cuts.mixed_up,
    "carry-state": carrying.carry,
    "mask": _mask,
    "clamp": operations.clamp,
    "mode": modules.mode,
    "batchnorm": batchnorms.batchnorm,
    "bypass": modules.bypass,
    "dropout": dropouts.dropout,
    "last-step": sequences.last_step,
    "batch-first": sequences.batch_first,
    "unscale-first": steps.unscale_first,
    "probe": _probe,
    "accumulate": accumulation.accumulate,
    "loader": _loader,
    "load": _load,
    "score": judging.score,
    "source": sources.source,
    "metric": metrics.metric,
    "place": places.place,
    "picks": picks.picks,
    "draws": draws.one_draw,
    "visits": samplers.visits,
    "follow": following.follow,
    "call-instead": wiring.call_instead,
    "residual": wiring.residual,
}


def install(observer: TorchObserver, patches: Iterable[Patch]) -> Boundaries:
    """Put patches into a training that is watched; call after ``observer.install()``.

    Returns:
        The boundaries, whose ``applied`` counts how often each patch acted.
    """
    boundaries = Boundaries(observer)
    Scoring(observer).install(boundaries)
    Printing(boundaries).install()
    # The last one lies over all others: a rule that scores sees what the script gave.
    for patch in sorted(patches, key=lambda p: p.kind == "score"):
        INSTALLERS[patch.kind](boundaries, patch)
    return boundaries
