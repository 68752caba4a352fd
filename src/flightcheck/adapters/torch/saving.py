"""What an observer writes of its collectors: a part of it every two seconds, all of it at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flightcheck.adapters.torch import optimizer_lines
from flightcheck.adapters.torch.planning import coverage_of, plan_of, uncalled_of

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def save_all(o: TorchObserver) -> None:
    """Write everything; the script is over."""
    o.loaders.settle(o.discovery.files())
    save_records(o, final=True)
    o.randomness.save()
    o.checkpoints.save()
    sites = {s.index: s.location for s in o.losses.sites}
    o.watch.guarded(o.losses.alignment.save)(o.discovery.files(), sites)
    o.watch.guarded(o.thawed.save)()
    o.stored_updates.save()
    o.moments.save()
    o.batchnorms.save()
    o.resources.save()
    o.replicas.save()
    o.watch.guarded(o.settings.save)()
    o.watch.guarded(o.forward.arithmetic.save)()
    o.operations.save()
    o.forward.features.save()
    o.forward.flows.save()
    o.forward.opposed.save()
    o.watch.writer.put(plan_of(o))
    for i, named in enumerate(uncalled_of(o)):
        o.watch.writer.put(named, i)
    o.watch.writer.put(coverage_of(o))
    o.watch.writer.flush(force=True)


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
