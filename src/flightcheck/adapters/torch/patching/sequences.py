"""Patches of sequences: the last output before the padding, and batches that were taken for time."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.padded_outputs import PaddedOutputs
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

_KEPT: Final = 64
_BATCHED: Final = 3
"""Axes of a batch of sequences."""


def last_step(b: Boundaries, patch: Patch) -> None:
    """``last-step:lengths``: who reads the last output of padded sequences is given each one's own end.

    Also who reads the last hidden state of a layer that went through the padding. Only ``out[:, -1]`` and ``out[-1]``,
    with further indices behind them or not, and ``select``; of the state ``h[-1]`` and ``h.squeeze(0)``.
    """
    outputs, seen = PaddedOutputs(), [0]

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        read = outputs.index_of(name, args)
        if read is not None and read[0].kind == "state" and outputs.reads_last_state(name, args):
            known = read[0]
            if known.outputs is not None:
                b.acted(patch)
                return _ends(known.outputs, known.time, known.lengths)
        elif read is not None and read[0].kind != "state" and read[1] == -1:
            known = read[0]
            value = _ends(args[0], known.time, known.lengths)
            b.acted(patch)
            rest = args[1][known.time + 1 :] if name == "__getitem__" and isinstance(args[1], tuple) else ()
            before = args[1][: known.time] if name == "__getitem__" and isinstance(args[1], tuple) else ()
            return value[(*before, *rest)] if before or rest else value
        result = function(*args, **kwargs)
        outputs.note(name, args, kwargs, result)
        seen[0] += 1
        if seen[0] % _KEPT == 0:
            outputs.forget_dead()
        return result

    b.at_operations(operation)


def _ends(out: torch.Tensor, time: int, lengths: torch.Tensor) -> torch.Tensor:
    """One output per sequence: the last before its padding."""
    rows = torch.arange(len(lengths), device=out.device)
    at = (lengths.to(out.device) - 1).clamp(min=0)
    return out[rows, at] if time == 1 else out[at, rows]


def batch_first(b: Boundaries, patch: Patch) -> None:
    """``batch-first``: recurrent and attention layers built with ``batch_first=False`` whose input has as many rows as
    that of the model take them for the examples.
    """
    rows: list[int] = []

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        first = first_tensor(given)
        rows.append(len(first) if first is not None and first.dim() else 0)
        try:
            return call(*given[0], **given[1])
        finally:
            rows.pop()

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        given_to = given[0][0] if given[0] else given[1].get("input", given[1].get("query"))
        if not isinstance(module, (nn.RNNBase, nn.MultiheadAttention)) or module.batch_first or not rows:
            return call(*given[0], **given[1])
        if not isinstance(given_to, torch.Tensor) or given_to.dim() != _BATCHED or len(given_to) != rows[-1]:
            return call(*given[0], **given[1])
        b.acted(patch)
        module.batch_first = True
        try:
            return call(*given[0], **given[1])
        finally:
            module.batch_first = False

    b.at_module(around)
    b.at_root(root)
