"""The kernels of convolutions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from flightcheck.views.activations import Cells
from flightcheck.views.layers import Structure

MOST_FILTERS: Final = 64
_MOST_SIDE: Final = 32
_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def filters_of(model: nn.Module, structure: Structure) -> dict[str, Cells]:
    """Kernels by layer, for the first 64 output channels.

    Returns:
        Path → shape (filters, height, width): for a kernel over several input channels the mean over them (of the first
        layer over an RGB picture see `colours_of`), for a 1-D one inputs from top to bottom, for a 3-D one its middle.
    """
    found = {}
    for path, weight in _kernels(model, structure):
        w = weight[:MOST_FILTERS]
        if w.dim() == 5:
            w = w[:, :, w.shape[2] // 2]
        w = w.mean(1) if w.dim() == 4 else w
        found[path] = w[:, :_MOST_SIDE, :_MOST_SIDE].float().cpu().numpy()
    return found


def colours_of(model: nn.Module, structure: Structure) -> dict[str, NDArray[np.float32]]:
    """Kernels over red, green and blue, where a layer has three inputs: path → shape (filters, height, width, 3)."""
    found = {}
    for path, weight in _kernels(model, structure):
        if weight.dim() == 4 and weight.shape[1] == 3:
            w = weight[:MOST_FILTERS, :, :_MOST_SIDE, :_MOST_SIDE].float().cpu().numpy()
            found[path] = np.moveaxis(w, 1, -1)
    return found


def _kernels(model: nn.Module, structure: Structure) -> list[tuple[str, torch.Tensor]]:
    modules = dict(model.named_modules())
    kernels = []
    for x in structure.leaves():
        module: Any = modules[x.path]
        if isinstance(module, _CONVOLUTIONS) and max(module.kernel_size) > 1:  # a 1×1 kernel has no shape
            weight = module.weight.detach()
            transposed = isinstance(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
            kernels.append((x.path, weight.transpose(0, 1) if transposed else weight))
    return kernels
