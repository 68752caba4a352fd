"""Arrays whose values are all values of a tensor: a sort, a filter by rank, a roll, rows that were picked.

What made such an array need not be known. Each of its values is that of an element of the tensor, so that its gradient
is that element's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import torch

_MOST_VALUES: Final = 4_000_000
_SINGLE: Final = 0.5
"""Of the values that are not zero: so many must be those of a single element, or it is a matter of chance."""
_FEWEST: Final = 8
"""Different values by which a selection is known."""


def selected(array: Any, tensors: Iterable[torch.Tensor]) -> torch.Tensor | None:
    """The array as a selection of elements of the first tensor that has all its values; None where none has.

    Zeros may be a margin that was filled. Values that several elements share stay without a gradient: which of them was
    taken is not known.

    Args:
        array: of floating-point numbers, of any shape.
        tensors: with a history.
    """
    values = np.asarray(array)
    if not np.issubdtype(values.dtype, np.floating) or not 0 < values.size <= _MOST_VALUES:
        return None
    for tensor in tensors:
        if tensor.is_floating_point() and tensor.numel() <= _MOST_VALUES:
            found = _selection(values, tensor)
            if found is not None:
                return found
    return None


def _selection(values: np.ndarray[Any, Any], tensor: torch.Tensor) -> torch.Tensor | None:
    with torch._C.DisableTorchFunction():
        held = tensor.detach().cpu().float().numpy().ravel()
        known, first, counts = np.unique(held, return_index=True, return_counts=True)
        wanted = values.astype(held.dtype).ravel()
        at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
        there, filled = known[at] == wanted, wanted == 0
        single = there & (counts[at] == 1) & ~filled
        if not (there | filled).all() or single.sum() < _SINGLE * max((~filled).sum(), 1):
            return None
        if len(np.unique(wanted[single])) < _FEWEST:
            return None
        index = torch.from_numpy(first[at]).to(tensor.device)
        mask = torch.from_numpy(single).to(tensor.device)
        taken = torch.where(mask, tensor.reshape(-1)[index], tensor.detach().reshape(-1)[index])
        taken = torch.where(torch.from_numpy(filled).to(tensor.device), torch.zeros_like(taken), taken)
        return taken.reshape(values.shape).to(torch.as_tensor(np.empty(0, values.dtype)).dtype)
