"""A causal mask for every attention of a model, and an error that a look at the future does not lower."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from flightcheck.adapters.torch.batches import first_tensor, tensors_in
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.patch import Patch
from flightcheck.recording.signals import ERROR

_SHORTEST: Final = 4
_PREFIXES: Final = 3
"""Places in a sequence at which the rest is cut off, at each step."""


class _Masking(TorchFunctionMode):
    """While it is on, every attention over that many positions sees what came before, and itself."""

    def __init__(self, length: int, acted: Callable[[], None]) -> None:
        super().__init__()
        self._length, self._acted = length, acted

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*self._masked(getattr(func, "__name__", ""), args, kwargs := dict(kwargs or {})), **kwargs)

    def _masked(self, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        n = self._length
        if not args or not isinstance(args[0], torch.Tensor):
            return args
        if name == "multi_head_attention_forward":
            if args[0].shape[0] == args[1].shape[0] == n and kwargs.get("attn_mask") is None:
                self._acted()
                kwargs |= {"attn_mask": _future(n, args[0].device), "is_causal": False}
        elif name == "scaled_dot_product_attention":
            masked = kwargs.get("is_causal") or kwargs.get("attn_mask") is not None or len(args) > 3
            if args[0].shape[-2] == args[1].shape[-2] == n and not masked:
                self._acted()
                kwargs |= {"is_causal": True}
        elif name == "softmax" and args[0].dim() > 2 and tuple(args[0].shape[-2:]) == (n, n):
            self._acted()
            lowest = torch.finfo(args[0].dtype).min
            return (args[0].masked_fill(_future(n, args[0].device), lowest), *args[1:])
        return args


def causal(b: Boundaries, patch: Patch) -> None:
    """``mask:causal``: in each call of a model with tokens a position attends to itself and to those before it.

    PyTorch's attention and a softmax over square scores, both only over as many positions as the tokens have.
    """
    b.masking = lambda ids: _Masking(ids.shape[1], lambda: b.acted(patch))

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        ids = _ids(given)
        with _masking(b, ids):
            return call(*given[0], **given[1])

    b.at_root(root)


def _masking(b: Boundaries, ids: torch.Tensor | None) -> contextlib.AbstractContextManager[Any]:
    if b.masking is None or ids is None or ids.shape[1] < _SHORTEST:
        return contextlib.nullcontext()
    return b.masking(ids)


def _future(length: int, device: torch.device) -> torch.Tensor:
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def _ids(given: Arguments) -> torch.Tensor | None:
    """The tokens that a model is given."""
    found = (t for _, t in tensors_in(*given))
    return next((t for t in found if not t.is_floating_point() and t.dim() == 2 and t.dtype is not torch.bool), None)


def judged_without_future(b: Boundaries, patch: Patch) -> None:
    """``score:prefix``: the error of the next token where a sequence ends before it. It sees the model in eval mode."""
    b.scoring.replaced = True
    drawn = torch.Generator().manual_seed(29)

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        ids = _ids(given)
        if torch.is_grad_enabled() and ids is not None and ids.shape[1] > _SHORTEST and not asking:
            asking.append(True)
            with contextlib.suppress(Exception), torch.no_grad(), b.unwatched(), torch.random.fork_rng(devices=[]):
                error = _error(b, module, given, ids, drawn)
                b.acted(patch)
                b.observer.watch.writer.frame(ERROR, b.observer.watch.step, [error])
            asking.clear()
        return result

    asking: list[bool] = []
    b.at_root(root)


def _error(b: Boundaries, module: nn.Module, given: Arguments, ids: torch.Tensor, drawn: torch.Generator) -> float:
    model = copy.deepcopy(module).eval()
    errors = []
    for at in torch.randint(2, ids.shape[1], (_PREFIXES,), generator=drawn).tolist():
        before = ids[:, :at]
        args, kwargs = map_tensors(given, functools.partial(_exchanged, ids, before))
        with _masking(b, before):
            output = first_tensor(model(*args, **kwargs))
        if output is None or output.dim() != 3 or output.shape[:2] != before.shape:
            raise ValueError("no scores of tokens, one row for each position")
        errors.append(float(nn.functional.cross_entropy(output[:, -1].float(), ids[:, at].long())))
    return sum(errors) / len(errors)


def _exchanged(old: torch.Tensor, new: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return new if value is old else value
