"""What an observer writes of its collectors: a part of it every two seconds, all of it at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flightcheck.adapters.torch import optimizer_lines
from flightcheck.adapters.torch.planning import (
    coverage_of,
    fold_loops_of,
    idle_loops_of,
    loop_ends_of,
    plan_of,
    rebound_of,
    reversed_sums_of,
    shown_masks_of,
    uncalled_of,
    uncleared_sums_of,
)  # fmt: skip

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def save_all(o: TorchObserver) -> None:
    """Write everything; the script is over. What one part cannot write costs none of the others theirs."""
    parts: list[Callable[[], None]] = [
        lambda: o.loaders.settle(o.discovery.files()),
        lambda: save_records(o, final=True),
        o.randomness.save,
        o.loaders.in_place.save,
        o.checkpoints.save,
        lambda: o.losses.alignment.save(o.discovery.files(), {s.index: s.location for s in o.losses.sites}),
        o.loose.kept.save,
        o.drawn_anew.save,
        o.hook_piles.save,
        o.thawed.save,
        o.stored_updates.save,
        o.moments.save,
        o.batchnorms.save,
        o.resources.save,
        o.replicas.save,
        o.settings.save,
        o.forward.arithmetic.save,
        o.forward.evaluations.answers.labels.save,
        o.operations.save,
        lambda: o.forward.inputs.features.save(o.discovery.files()),
        o.forward.flows.save,
        o.forward.wiring.save,
        o.forward.opposed.save,
        lambda: o.watch.writer.put(plan_of(o)),
        lambda: _uncalled(o),
        lambda: _loop_ends(o),
    ]
    for part in parts:
        o.watch.attempt("save", part)
    o.watch.writer.put(coverage_of(o))  # last: it tells what failed
    o.watch.writer.flush(force=True)


def _uncalled(o: TorchObserver) -> None:
    for i, rebound in enumerate(rebound_of(o)):
        o.watch.writer.put(rebound, i)
    for i, loop in enumerate(idle_loops_of(o)):
        o.watch.writer.put(loop, i)
    for i, turned in enumerate(reversed_sums_of(o)):
        o.watch.writer.put(turned, i)
    for i, shown in enumerate(shown_masks_of(o)):
        o.watch.writer.put(shown, i)
    for i, uncleared in enumerate(uncleared_sums_of(o)):
        o.watch.writer.put(uncleared, i)
    for i, named in enumerate(uncalled_of(o)):
        o.watch.writer.put(named, i)
    for i, folds in enumerate(fold_loops_of(o)):
        o.watch.writer.put(folds, i)


def _loop_ends(o: TorchObserver) -> None:
    for i, end in enumerate(loop_ends_of(o)):
        o.watch.writer.put(end, i)


def save_records(o: TorchObserver, final: bool = False) -> None:
    """Write what is known of parameters, losses, loaders, models and optimizers."""
    o.loose.check()
    o.statistics.settle()
    o.discovery.save_parameters()
    o.losses.save()
    o.loaders.save()
    o.logged.save(final)
    o.watch.guarded(o.system.look)(final)
    for root in o.discovery.roots.values():
        o.discovery.save_root(root)
    for held in o.optimizers.held:
        if final:
            optimizer_lines.settle(
                held,
                o.lines,
                any(s.optimizer == held.info.index for s in o.schedulers.infos),
                o.protocol.backward_location,
            )
        o.optimizers.save(held)
