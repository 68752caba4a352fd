"""One call of the copied model, with a look at every module that takes part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from flightcheck.views.batch import Batch, tensors_of

Look: TypeAlias = Callable[[str, nn.Module, tuple[Any, ...], Any], None]
"""Told path, module, positional arguments and output of a module that was called."""
Arrival: TypeAlias = Callable[[str, nn.Module, tuple[Any, ...], dict[str, Any]], None]
"""Told path, module and arguments of a module that is about to be called."""


def called(model: nn.Module, batch: Batch, look: Look, before: Arrival | None = None) -> Any:
    """Call the model on a batch; returns its output. The path of the model itself is empty.

    What the model itself raises passes through.
    """
    handles = []
    for path, module in model.named_modules():

        def behind(m: nn.Module, args: Any, out: Any, path: str = path) -> None:
            look(path, m, args, out)

        # before the user's own hooks may change the output, so that it is the layer that is seen
        handles.append(module.register_forward_hook(behind, prepend=True))
        if before is not None:

            def ahead(m: nn.Module, args: Any, kwargs: Any, path: str = path, tell: Arrival = before) -> None:
                tell(path, m, args, kwargs)

            handles.append(module.register_forward_pre_hook(ahead, with_kwargs=True))
    try:
        return model(*batch.args, **batch.kwargs)
    finally:
        for handle in handles:
            handle.remove()


def plain(tensor: torch.Tensor) -> bool:
    """It holds numbers that can be drawn: dense and real."""
    return (
        tensor.layout is torch.strided
        and not tensor.is_nested
        and tensor.device.type != "meta"
        and not tensor.is_complex()
        and not tensor.is_quantized
        and tensor.numel() > 0
    )


def output_of(value: Any) -> torch.Tensor | None:
    """The first tensor of an output that can be drawn: itself, or inside tuples, lists, dictionaries, data classes."""
    return next((t for t in tensors_of(value) if plain(t)), None)
