"""Watching that can be taken out of a process and put in again, and what it does, counted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import flightcheck
from flightcheck.adapters.torch import TorchObserver, wrappers
from flightcheck.adapters.torch.budget import FULL, GRADIENTS, OUTPUTS, WEIGHTS
from flightcheck.recording.store import RunWriter

_PACKAGE = str(Path(flightcheck.__file__).parent)
DENSE_STEPS, DENSE_SECONDS, LONGEST_GAP, LONGEST_GAP_SECONDS = 10, 0.15, 100, 0.25
"""As `flightcheck run` watches."""


class Watching:
    """The observer of ``flightcheck run``."""

    def __init__(self, folder: Path, budget: float = 0.02, longest_gap: int = LONGEST_GAP) -> None:
        self.writer = RunWriter(folder)
        self.observer = TorchObserver(
            self.writer, budget=budget, dense_steps=DENSE_STEPS, longest_gap=longest_gap,
            longest_gap_seconds=LONGEST_GAP_SECONDS if longest_gap == LONGEST_GAP else 0.0, dense_seconds=DENSE_SECONDS,
        )  # fmt: skip
        self.observer.install()

    def pause(self) -> None:
        """Take every wrapper out: the process is as it was."""
        self.observer.watch.on = False
        self.observer.forward.look_at = None
        self.observer.operations.suspend()
        self.observer.patches.close()

    def resume(self) -> None:
        """Put them in again. What was learnt stays."""
        observer = self.observer
        observer.watch.on = True
        wrappers.install(observer)
        observer.watch.sampled = observer.watch.outputs = False  # the round was torn off
        observer.budget.back()

    def close(self) -> None:
        """The end."""
        self.observer.close()
        self.writer.close()

    def looks(self) -> dict[str, int]:
        """Rounds so far in which each was measured."""
        done = self.observer.budget
        return {
            "rounds": done.rounds - done.dense_steps,
            "gradients": done.looks[GRADIENTS],
            "weights": done.looks[WEIGHTS],
            "activations": done.looks[OUTPUTS],
            "everything": done.looks[FULL],
        }

    @property
    def native_calls(self) -> int:
        """Calls of the compiled kernel so far in this process."""
        kernel = self.observer.statistics.measures.kernel
        return kernel.calls if kernel is not None else 0


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(step: Callable[[], None]) -> int:
    """PyTorch operations of one step."""
    counted = _Operations()
    with counted:
        step()
    return counted.count


def python_calls(step: Callable[[], None]) -> int:
    """Calls of our Python functions in one step."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(_PACKAGE)

    sys.setprofile(count)
    try:
        step()
    finally:
        sys.setprofile(None)
    return calls


def hooks(model: nn.Module) -> int:
    """Hooks that lie on a model and on its parameters."""
    kinds = [name for name in vars(model) if name.endswith("_hooks")]
    on_modules = sum(len(getattr(m, name)) for m in model.modules() for name in kinds)
    on_parameters = sum(len(p._backward_hooks or ()) for p in model.parameters())
    return on_modules + on_parameters + len(nn.modules.module._global_forward_hooks)


def ordinary(watching: Watching, step: Callable[[], None], measure: Callable[[], int], tries: int = 400) -> int | None:
    """A count over a round in which only the ordinary is measured; None if none came."""
    watch = watching.observer.watch
    for _ in range(tries):
        if not (watch.sampled or watch.outputs or watch.learning):
            return measure()
        step()
    return None


def parameters_in_bytes(model: nn.Module) -> int:
    """The size of the copies of weights that are kept."""
    return sum(p.numel() * p.element_size() for p in model.parameters())
