"""The examples that a view is made of: a call's arguments, cut to a number of examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import torch

from flightcheck.errors import UsageError
from flightcheck.frozen import frozen

MOST_EXAMPLES: Final = 64
"""Examples of a batch that are looked at; the rest is left out."""


@frozen
class Batch:
    """What a model is called with: ``model(*args, **kwargs)``."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    size: int
    """Examples."""
    axis: int = 0
    """Of the examples in each tensor."""
    labels: torch.Tensor | None = None
    """One whole number for each example, shape (size,); None where the targets are something else."""
    whole: tuple[int, ...] = ()
    """Shape of the first tensor before examples were left out."""

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any], axis: int = 0, labels: Any = None) -> Batch:
        """A copy of a call's arguments, with at most 64 examples.

        Raises:
            UsageError: no argument is a tensor with such an axis.
        """
        first = next((t for t in _tensors((args, kwargs)) if t.dim() > axis), None)
        if first is None or first.shape[axis] == 0:
            raise UsageError("the batch holds no tensor with examples, so there is nothing to look at")
        size = first.shape[axis]
        return cls(args, kwargs, size, axis, labels_of(labels, size), tuple(first.shape)).cut(MOST_EXAMPLES)

    @property
    def first(self) -> torch.Tensor:
        """The first tensor: the picture, the sequence, or the features."""
        return next(t for t in _tensors((self.args, self.kwargs)) if t.dim() > self.axis)

    def cut(self, most: int, start: int = 0) -> Batch:
        """Some examples of it, copied: nothing that is done to them reaches the original."""
        kept = max(0, min(most, self.size - start))

        def part(t: torch.Tensor) -> torch.Tensor:
            whole = t.dim() > self.axis and t.shape[self.axis] == self.size
            return (t.detach().narrow(self.axis, start, kept) if whole else t.detach()).clone()

        labels = self.labels[start : start + kept] if self.labels is not None else None
        args, kwargs = _mapped(part, self.args), _mapped(part, self.kwargs)
        return replace(self, args=args, kwargs=kwargs, size=kept, labels=labels)

    def along(self, axis: int) -> Batch:
        """The same call, with the examples counted along another axis."""
        return replace(self, axis=axis, size=self.first.shape[axis], labels=None)

    def repeated(self, times: int) -> Batch:
        """A batch of one example, as often as wanted."""

        def again(t: torch.Tensor) -> torch.Tensor:
            return t.repeat_interleave(times, self.axis) if t.dim() > self.axis and t.shape[self.axis] == 1 else t

        return replace(
            self, args=_mapped(again, self.args), kwargs=_mapped(again, self.kwargs), size=times, labels=None
        )

    def with_first(self, tensor: torch.Tensor) -> Batch:
        """The same call with another first tensor."""
        old, done = self.first, [False]

        def put(t: torch.Tensor) -> torch.Tensor:
            if t is old and not done[0]:
                done[0] = True
                return tensor
            return t

        return replace(self, args=_mapped(put, self.args), kwargs=_mapped(put, self.kwargs))


def call_of(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How a batch goes to a model: a dictionary as keyword arguments, a tuple or list as positional ones."""
    if isinstance(batch, dict):
        return (), dict(batch)
    if isinstance(batch, (tuple, list)):
        return tuple(batch), {}
    return (batch,), {}


def tensors_of(value: Any) -> list[torch.Tensor]:
    """All tensors in nested lists, tuples, dictionaries and data classes, in order."""
    return list(_tensors(value))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)
    elif isinstance(value, dict):
        for v in value.values():
            yield from _tensors(v)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _tensors(getattr(value, field.name, None))


def _mapped(change: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return type(value)({k: _mapped(change, v) for k, v in value.items()}) if type(value) is dict else value
    if type(value) in (list, tuple):
        return type(value)(_mapped(change, v) for v in value)
    return value


def labels_of(given: Any, size: int) -> torch.Tensor | None:
    """Targets as one whole number for each example, shape (size,); None where they are something else."""
    if not isinstance(given, torch.Tensor) or given.is_floating_point() or given.is_complex() or given.dim() == 0:
        return None
    flat = given.detach()
    if flat.shape[0] != size or flat.numel() != size:
        return None
    return flat.reshape(-1).cpu().clone()
