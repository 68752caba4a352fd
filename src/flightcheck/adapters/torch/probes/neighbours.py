"""Do examples with similar inputs have the same label? And if not: would they, if the labels were shifted?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.batches import tensors_in
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe

MOST: Final = 3000
"""Examples that are compared; all pairs of them, so 9 million distances."""
_MOST_FEATURES: Final = 4096
_NEIGHBOURS: Final = 5
_SHIFTS: Final = 5
_FEWEST_BATCHES: Final = 8


class _Pairs:
    """Rows of inputs with their targets, as the training saw them."""

    def __init__(self) -> None:
        self.inputs: list[torch.Tensor] = []
        self.targets: list[torch.Tensor] = []
        self.rows = 0
        self.gains: list[tuple[float, float]] = []
        """Of batches of new examples: the loss with each example's own target, and with another's."""
        self._known: set[bytes] = set()
        self._last: torch.Tensor | None = None

    def called(self, given: Arguments) -> None:
        for _, tensor in tensors_in(*given):
            if tensor.is_floating_point() and tensor.dim() > 1 and not tensor.requires_grad:
                self._last = tensor
                return

    def new(self) -> bool:
        """The last inputs hold no example that the model was trained on before."""
        return self._last is not None and not any(r.tobytes() in self._known for r in _flat(self._last).numpy())

    def compared(self, target: Any) -> None:
        x = self._last
        if x is None or not isinstance(target, torch.Tensor) or target.dim() == 0 or self.rows >= MOST:
            return
        if len(target) != len(x) or target.numel() != len(x):
            return
        flat = _flat(x)
        self._known.update(r.tobytes() for r in flat.numpy())
        self.inputs.append(flat)
        self.targets.append(target.detach().reshape(-1).cpu())
        self.rows += len(x)


def install(b: Boundaries, patch: Patch) -> None:
    """Collect inputs and targets of the training steps; compare them when the trial ends."""
    pairs = _Pairs()

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if torch.is_grad_enabled():
            pairs.called(given)
        return call(*given[0], **given[1])

    def loss(call: Any, name: str, given: Arguments) -> Any:
        if torch.is_grad_enabled():
            prediction, target, again = arguments_of(given)
            rows = pairs.rows
            new = pairs.new()
            pairs.compared(target)
            if new and pairs.rows > rows:
                with torch.no_grad(), b.unwatched():
                    told = [call(*a, **k) for a, k in (again(prediction, t) for t in (target, target.roll(1, 0)))]
                if all(t.dim() == 0 for t in told):
                    pairs.gains.append((float(told[0]), float(told[1])))
        return call(*given[0], **given[1])

    def told() -> Probe | None:
        found = agreement(pairs.inputs, pairs.targets)
        return Probe("neighbours", {**found, **first_sight(pairs.gains)}) if found else None

    b.at_root(root)
    b.at_loss(loss)
    b.probes.append(told)
    b.acted(patch)


def _flat(x: torch.Tensor) -> torch.Tensor:
    """One row of numbers per example, of at most 4096 features."""
    flat = x.detach().reshape(len(x), -1).float().cpu()
    return flat[:, :: -(-flat.shape[1] // _MOST_FEATURES)] if flat.shape[1] > _MOST_FEATURES else flat


def first_sight(gains: list[tuple[float, float]]) -> dict[str, Any]:
    """What the model knows of examples before it is trained on them: on these, memory is no help.

    Args:
        gains: per batch of new examples, in order: its loss, and its loss with targets moved by a row.

    Returns:
        ``new_batches``, and of their second half: the upper 99 % limit (Student) of the mean part of the loss that the
        right targets save, ``new_gain``; nothing below eight batches.
    """
    later = [(moved - own) / max(abs(moved), 1e-12) for own, moved in gains[len(gains) // 2 :]]
    if len(later) < _FEWEST_BATCHES:
        return {"new_batches": len(gains)}
    from scipy import stats  # type: ignore[import-untyped]  # slow to import

    values = torch.tensor(later, dtype=torch.float64)
    error = float(values.std()) / len(later) ** 0.5
    return {
        "new_batches": len(gains),
        "new_gain": float(values.mean()) + float(stats.t.ppf(0.99, len(later) - 1)) * error,
    }


def agreement(inputs: list[torch.Tensor], targets: list[torch.Tensor]) -> dict[str, Any]:
    """How often the nearest examples have the label of an example, and how often they would by chance.

    Args:
        inputs: batches ``(n, features)``, all with as many features.
        targets: batches ``(n,)``: class ids, or numbers.

    Returns:
        ``examples``, ``classes`` (0 for numbers), ``agreement`` and ``chance`` (share of equal labels; for numbers the
        correlation with the neighbours' mean, and 0), ``hits``, and ``shifts``: the agreement with labels shifted by
        −5 … 5 rows within a batch, in their order.
    """
    if not inputs or len({x.shape[1] for x in inputs}) > 1:
        return {}
    x, y = torch.cat(inputs)[:MOST], torch.cat(targets)[:MOST]
    x, first = _unique(x)
    y = y[first]
    x = x - x.mean(0)
    x = x / x.std(0).clamp_min(1e-6 * float(x.std()) + 1e-12)
    if len(x) < 2 * _NEIGHBOURS:
        return {}
    distances = torch.cdist(x, x)
    distances.fill_diagonal_(float("inf"))
    near = distances.topk(_NEIGHBOURS, largest=False).indices
    whole = not y.is_floating_point() or (bool((y == y.round()).all()) and int(torch.unique(y).numel()) <= 50)
    told = {"examples": len(x), "classes": int(torch.unique(y).numel()) if whole else 0}
    if not whole:
        value = _correlation(y[near].double().mean(1), y)
        return {**told, "agreement": value, "chance": 0.0, "hits": 0, "shifts": _shifted(inputs, targets, _correlation)}
    y = y.long()
    equal = y[near] == y[:, None]
    _, counts = torch.unique(y, return_counts=True)
    chance = float((counts.double() / len(y)).square().sum())
    first_hit = equal[:, 0]
    return {
        **told,
        "agreement": float(equal.double().mean()),
        "chance": chance,
        "hits": int(first_hit.sum()),
        "shifts": _shifted(inputs, targets, lambda a, b: float((a == b).double().mean())),
    }


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Pearson's, 0 where one of them does not vary."""
    return float(torch.nan_to_num(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1]))


def _unique(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row once (an example comes again in each epoch), and where it stood first."""
    seen: dict[bytes, int] = {}
    for i, row in enumerate(x.numpy()):
        seen.setdefault(row.tobytes(), i)
    first = torch.tensor(sorted(seen.values()))
    return x[first], first


def _shifted(
    inputs: list[torch.Tensor], targets: list[torch.Tensor], agree: Callable[[torch.Tensor, torch.Tensor], float]
) -> list[float]:
    """Agreement of each example's nearest other example's label, when labels are shifted by s rows in their batch."""
    x = torch.cat(inputs)[:MOST]
    distances = torch.cdist(x, x)
    distances[distances < 1e-9] = float("inf")
    near = distances.argmin(1)
    told = []
    for s in range(-_SHIFTS, _SHIFTS + 1):
        y = torch.cat([torch.roll(t, s) for t in targets])[:MOST]
        told.append(agree(y[near], y))
    return told
