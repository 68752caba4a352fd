"""Looking without touching: views run on a copy of the model, with the surroundings of the process put back."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from flightcheck.adapters.torch.training import untouched
from flightcheck.errors import UsageError


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside what compiles or distributes it."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module) and isinstance(
            model, (nn.DataParallel, nn.parallel.DistributedDataParallel)
        ):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def copied(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, whose parameters can have gradients; it shares nothing that a call changes.

    Raises:
        UsageError: the model cannot be copied.
    """
    model = unwrapped(model)
    try:
        made = copy.deepcopy(model, _of_graphs(model))
    except Exception as e:
        what = f"{type(e).__name__}: {e}"
        raise UsageError(
            f"{type(model).__name__} cannot be copied, and views work on a copy; deepcopy says {what}"
        ) from e
    for p in made.parameters():
        if p.is_floating_point() or p.is_complex():
            p.requires_grad_()
    return made.eval()


def _of_graphs(model: nn.Module) -> dict[int, Any]:
    """Copies of what deepcopy refuses: tensors with a history, such as a state that a module keeps between calls."""
    memo: dict[int, Any] = {}

    def look(value: Any, depth: int) -> None:
        if isinstance(value, torch.Tensor):
            if not value.is_leaf:
                memo[id(value)] = value.detach().clone()
        elif depth and isinstance(value, (list, tuple)):
            for v in value:
                look(v, depth - 1)
        elif depth and isinstance(value, dict):
            for v in value.values():
                look(v, depth - 1)

    for module in model.modules():
        look(vars(module), 3)
    return memo


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """A copy may reach its original beside its modules, through a closure: then a call changes the original's."""
    kept = [(b, b.detach().clone()) for b in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                if not torch.equal(buffer, value):  # BatchNorm changes them without counting it as a new version
                    buffer.copy_(value)


@contextmanager
def surroundings(model: nn.Module | None = None) -> Iterator[None]:
    """Random generators, gradient mode and switches of PyTorch are afterwards as they were, and the buffers of `model`.

    Inside, attention computes step by step (a fused kernel has no weights to show), automatic casting and the search
    for anomalies are off, and recurrent layers on a GPU can be differentiated in evaluation mode.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(untouched())
        stack.enter_context(_buffers_kept(model) if model is not None else nullcontext())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # what a look brings about is not the user's
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.enter_context(torch.autograd.set_detect_anomaly(False))
        stack.enter_context(torch.inference_mode(False))
        for device in {"cpu", "cuda"} if torch.cuda.is_initialized() else {"cpu"}:  # type: ignore[no-untyped-call]
            stack.enter_context(torch.autocast(device, enabled=False))
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
