"""The values in effect in a run: what optimizers, loaders, models and the arithmetic really used, under plain names."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from flightcheck.frozen import frozen
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.short_hash import short_hash
from flightcheck.recording.signals import LEARNING_RATE
from flightcheck.recording.surroundings import Numerics, Packages, SourceFile

_NOT_A_SETTING: Final = {
    "lr",
    "initial_lr",
    "parameters",
    "differentiable",
    "maximize",
    "foreach",
    "fused",
    "capturable",
}
_EARLIER: Final = ("lr", "momentum", "weight_decay", "betas", "eps")


@frozen
class Value:
    """One value in effect."""

    value: str | float | bool
    kind: str
    """training, model, arithmetic or seed."""
    location: Location | None = None
    """The line that it comes from."""

    def __str__(self) -> str:
        return number(self.value) if isinstance(self.value, float) else str(self.value)


def number(value: float) -> str:
    """A number in as few characters as tell it."""
    return f"{value:.6g}"


def values_in_effect(run: Run) -> dict[str, Value]:
    """All values in effect, those that are looked at first in front."""
    found: dict[str, Value] = {}
    for name, value in (*_training(run), *_model(run), *_arithmetic(run), *_seeds(run)):
        found.setdefault(name, value)
    return found


def _training(run: Run) -> Iterator[tuple[str, Value]]:
    stepping = [o for o in run.optimizers if o.steps]
    for position, optimizer in enumerate(stepping):
        yield from _optimizer(run, optimizer, f"optimizer {position + 1} " if len(stepping) > 1 else "")
    for scheduler in run.schedulers:
        told = ", ".join(f"{k}={_short(v)}" for k, v in scheduler.settings.items())
        yield "schedule", Value(f"{scheduler.type}({told})", "training", scheduler.location)
    limits = {str(c.data["max_norm"]): c for c in run.calls if c.kind == "clip" and c.data.get("max_norm") is not None}
    if limits:
        yield "gradient clipping", Value(", ".join(sorted(limits)), "training", next(iter(limits.values())).location)
    fed = [b for b in run.batches if b.training and b.shape]
    fed = [b for b in fed if (b.root, b.argument) == (fed[0].root, fed[0].argument)]
    if fed:
        sizes = Counter(b.shape[0] for b in fed)  # the last batch of a pass is often smaller
        yield (
            "batch size",
            Value(float(sizes.most_common(1)[0][0]), "training", run.plan.batch_location or fed[0].location),
        )
        shapes = {tuple(b.shape[1:]) for b in fed}
        if len(shapes) == 1:  # of sequences of many lengths the first one tells nothing
            yield "input shape", Value(" × ".join(map(str, fed[0].shape[1:])), "training", fed[0].location)
    if run.optimizers:
        yield "accumulation", Value(float(run.plan.accumulation), "training", run.plan.backward_location)
    if run.info.ranks > 1:
        yield "processes", Value(float(run.info.ranks), "training")
    for name, planned in (("epochs", run.plan.epochs), ("planned steps", run.plan.rounds)):
        if planned is not None:
            yield name, Value(float(planned), "training", run.plan.backward_location)
    for position, site in enumerate(s for s in run.loss_sites if s.train_calls):
        told = ", ".join(f"{k}={_short(v)}" for k, v in sorted(site.settings.items()) if v not in ([], None))
        name = f"loss function {position + 1}" if position else "loss function"
        yield name, Value(f"{site.function}({told})", "training", site.location)
    trained = [x for x in run.loaders if x.used_in_training]
    for loader in trained[:1]:
        yield "shuffle", Value(str(loader.shuffle), "training", loader.location)
    for dataset in [d for d in run.datasets if d.trained][:1]:
        yield "sampler", Value(dataset.sampler, "training")
        if dataset.random_transforms:
            yield "augmentation", Value(", ".join(dataset.random_transforms), "training")


def _optimizer(run: Run, optimizer: OptimizerInfo, prefix: str) -> Iterator[tuple[str, Value]]:
    yield f"{prefix}optimizer", Value(optimizer.type, "training", optimizer.location)
    several = len(optimizer.groups) > 1
    for place, group in enumerate(optimizer.groups):
        suffix = f" of group {place}" if several else ""
        rate = _first_rate(run, optimizer, group, several)
        if rate is not None:
            yield f"{prefix}lr{suffix}", Value(rate, "training", optimizer.lr_location or optimizer.location)
        names = sorted(set(group) - _NOT_A_SETTING, key=lambda n: (n not in _EARLIER, n))
        for name in names:
            location = optimizer.decay_location if name == "weight_decay" else None
            value = group[name]
            plain = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else _short(value)
            yield f"{prefix}{name}{suffix}", Value(plain, "training", location or optimizer.location)


def _first_rate(run: Run, optimizer: OptimizerInfo, group: dict[str, Any], several: bool) -> float | None:
    """The learning rate that a schedule begins with, or that of the first step: the group may hold a later one."""
    held = group.get("initial_lr", group.get("lr"))
    held = float(held) if isinstance(held, (int, float)) else None
    if several or "initial_lr" in group or LEARNING_RATE.name not in run.frames:
        return held
    seen = run.table(LEARNING_RATE).column(optimizer.index).values
    if not len(seen) or (held is not None and math.isclose(held, seen[0], rel_tol=1e-6, abs_tol=1e-12)):
        return held
    return float(f"{seen[0]:.6g}")


def _model(run: Run) -> Iterator[tuple[str, Value]]:
    trained = [p for p in run.parameters if run.trained(p)]
    if trained:
        yield "trained parameters", Value(float(sum(p.numel for p in trained)), "model")
        yield "parameter type", Value(", ".join(sorted({p.dtype for p in trained})), "model")
    for module in run.modules:
        told = ", ".join(f"{k}={_short(v)}" for k, v in sorted(module.settings.items()) if k != "inplace")
        yield f"module {module.path}", Value(f"{module.type}({told})", "model", module.location)


def _arithmetic(run: Run) -> Iterator[tuple[str, Value]]:
    for found in run.recorded(Numerics)[:1]:
        for name, value in vars(found).items():
            if value not in (None, ""):
                yield name.replace("_", " "), Value(str(value), "arithmetic")
    if run.environment is not None:
        yield "python", Value(run.environment.python, "arithmetic")
        yield "platform", Value(run.environment.platform, "arithmetic")
        for name, text in run.environment.variables.items():
            yield name, Value(text, "arithmetic")


def _seeds(run: Run) -> Iterator[tuple[str, Value]]:
    for name, value in sorted(run.seeding.values.items()) if run.seeding is not None else ():
        yield f"seed of {name}", Value(str(value), "seed", run.seeding.location if run.seeding else None)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return number(value) if isinstance(value, float) else str(value)


# -- which runs are repetitions of each other -----------------------------------------------------------------------


def configuration(run: Run, values: dict[str, Value] | None = None) -> str:
    """A hash of all that a run depends on except its seeds: code, data, used packages, values in effect."""
    values = values_in_effect(run) if values is None else values
    return _hash(
        [run.info.mode],
        [[n, str(v)] for n, v in sorted(values.items()) if v.kind != "seed"],
        code_digests(run),
        sorted(used_packages(run).items()),
        sorted({d.base or d.digest for d in run.data_digests if d.role}),
    )


def code_digests(run: Run) -> list[tuple[str, str]]:
    """Path and hash of every file of the user's code."""
    return sorted((f.path, f.digest) for f in run.recorded(SourceFile))


def used_packages(run: Run) -> dict[str, str]:
    """Versions of the packages that the run had imported, without ours."""
    recorded = run.recorded(Packages)
    if not recorded:
        return dict(run.environment.packages) if run.environment is not None else {}
    found = recorded[0]
    return {n: found.installed[n] for n in found.imported if n in found.installed and n != "flightcheck"}


def _hash(*parts: Iterable[Any]) -> str:
    text = json.dumps([list(p) for p in parts], sort_keys=True)
    return short_hash(text.encode()).hex()
