"""The places of a training at which patches act: batches, calls of models and modules, losses, steps, operations."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils.data.dataloader import _BaseDataLoaderIter

from flightcheck.adapters.torch.losses import FUNCTIONS
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Boundaries:
    """Where patches can act in the training that an observer watches."""

    def __init__(self, observer: TorchObserver) -> None:
        self.observer = observer
        self.applied: Counter[str] = Counter()
        self.probes: list[Callable[[], Probe | None]] = []
        """Asked at the end of the trial for what they measured."""
        self.loss_swapped: Callable[[str, torch.Tensor, torch.Tensor], None] = lambda name, prediction, target: None
        """Told of each loss, its prediction and its target, that a patch computes in the place of one of its kind."""
        self.scoring: Any = None
        """What measures the error of the training."""
        self.masking: Callable[[torch.Tensor], AbstractContextManager[Any]] | None = None
        """Of a patch that masks attention: what to enter around a call of a model with these tokens."""
        self._modes: list[TorchFunctionMode] = []

    def acted(self, patch: Patch) -> None:
        """Count that a patch changed something."""
        self.applied[str(patch)] += 1

    def is_at(self, place: str) -> bool:
        """The line of the user's code that runs is this one: ``train.py:31``."""
        at = self.observer.lines.here()
        return at is not None and f"{Path(at.file).name}:{at.line}" == place

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """What is done here is ours: the observer does not take it for the script's."""
        watch = self.observer.watch
        before, watch.on = watch.on, False
        try:
            yield
        finally:
            watch.on = before

    def at_root(self, around: Callable[[Any, nn.Module, Arguments], Any]) -> None:
        """``around(call, module, (args, kwargs))`` runs in the place of each outermost call of a model."""
        forward, watch = self.observer.forward, self.observer.watch

        def make(original: Any) -> Any:
            def __call__(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
                if forward.depth or not watch.mine() or next(self.parameters(), None) is None:
                    return original(self, *args, **kwargs)
                return around(functools.partial(original, self), self, (args, kwargs))

            return __call__

        self.observer.patches.replace(nn.Module, "__call__", make)

    def at_module(self, around: Callable[[Any, nn.Module, Arguments], Any]) -> None:
        """As `at_root`, for every call of every module."""
        watch = self.observer.watch

        def make(original: Any) -> Any:
            def __call__(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
                if not watch.mine():
                    return original(self, *args, **kwargs)
                return around(functools.partial(original, self), self, (args, kwargs))

            return __call__

        self.observer.patches.replace(nn.Module, "__call__", make)

    def at_loss(self, around: Callable[[Any, str, Arguments], Any]) -> None:
        """``around(call, function, (args, kwargs))`` runs in the place of each loss function of the framework.

        Loss functions that call one another are met once, at the outermost.
        """
        watch, depth = self.observer.watch, [0]

        def wrap(name: str) -> Callable[[Any], Any]:
            def make(original: Any) -> Any:
                @functools.wraps(original)
                def loss(*args: Any, **kwargs: Any) -> Any:
                    if depth[0] or not watch.mine():
                        return original(*args, **kwargs)
                    depth[0] += 1
                    try:
                        return around(original, name, (args, kwargs))
                    finally:
                        depth[0] -= 1

                return loss

            return make

        for name in FUNCTIONS:
            if hasattr(F, name):
                self.observer.patches.replace(F, name, wrap(name))

    def at_batches(self, change: Callable[[Any], Any]) -> None:
        """``change(batch)`` is what a DataLoader's iterator gives."""
        watch = self.observer.watch

        def make(original: Any) -> Any:
            @functools.wraps(original)
            def __next__(self: Any) -> Any:  # noqa: N807
                batch = original(self)
                return change(batch) if watch.mine() else batch

            return __next__

        self.observer.patches.replace(_BaseDataLoaderIter, "__next__", make)

    def around_step(
        self,
        before: Callable[[Optimizer], None] | None = None,
        after: Callable[[Optimizer], None] | None = None,
    ) -> None:
        """Both run close to the step itself: the observer sees the optimizer as they leave it."""
        watch = self.observer.watch

        def pre(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if before is not None and watch.mine():
                before(optimizer)

        def post(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if after is not None and watch.mine():
                after(optimizer)

        self.observer.patches.add(register_optimizer_step_pre_hook(pre))
        self.observer.patches.add(register_optimizer_step_post_hook(post))

    def after_backward(self, then: Callable[[], None]) -> None:
        """``then()`` runs when a backward of the script is over and the observer has seen it."""
        watch, depth = self.observer.watch, [0]

        def make(original: Any) -> Any:
            @functools.wraps(original)
            def backward(*args: Any, **kwargs: Any) -> Any:
                if depth[0] or not watch.mine():
                    return original(*args, **kwargs)
                depth[0] += 1
                try:
                    result = original(*args, **kwargs)
                finally:
                    depth[0] -= 1
                then()
                return result

            return backward

        self.observer.patches.replace(torch.autograd, "backward", make)

    def at_operations(self, around: Callable[[Any, str, Arguments], Any]) -> None:
        """``around(function, name, (args, kwargs))`` runs in the place of each operation of PyTorch's Python API."""
        mode = _Mode(self.observer, around)
        mode.__enter__()  # type: ignore[no-untyped-call]
        self._modes.append(mode)
        self.observer.patches.add(_Leave(mode))


class _Mode(TorchFunctionMode):
    def __init__(self, observer: TorchObserver, around: Callable[[Any, str, Arguments], Any]) -> None:
        super().__init__()
        self._watch = observer.watch
        self._around = around

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self._watch.mine() or self._watch.busy:
            return func(*args, **kwargs)
        return self._around(func, getattr(func, "__name__", ""), (tuple(args), kwargs))


class _Leave:
    """Takes a mode off as a hook handle would."""

    def __init__(self, mode: _Mode) -> None:
        self._mode = mode

    def remove(self) -> None:
        try:
            self._mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        except Exception:  # the script left the stack of modes in another order; the process ends anyway
            pass


def map_tensors(value: Any, change: Callable[[torch.Tensor], torch.Tensor], depth: int = 0) -> Any:
    """The value with each tensor in it changed: in tuples, lists and dictionaries, at most three deep."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if depth > 3:
        return value
    if isinstance(value, dict):
        try:
            return type(value)({k: map_tensors(v, change, depth + 1) for k, v in value.items()})
        except TypeError:  # a dictionary of its own kind
            return {k: map_tensors(v, change, depth + 1) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(v, change, depth + 1) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(v, change, depth + 1) for v in value)
    return value
