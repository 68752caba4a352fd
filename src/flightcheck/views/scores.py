"""What a model's answer to an example is, as one row of scores: what gradients are taken of."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.views.calls import output_of


def scores_of(output: Any, axis: int, examples: int) -> torch.Tensor | None:
    """Scores of each example.

    Args:
        output: of the model; its first tensor counts.
        axis: of the examples in it.
        examples: of the batch.

    Returns:
        Shape (examples, scores): an output of two axes as it is, of a sequence (examples, positions, scores) the last
        position, of pictures the mean of each channel. None where no axis counts examples, or numbers are not real.
    """
    x = output_of(output)
    if x is None or axis < 0 or not x.is_floating_point() or axis >= x.dim() or x.shape[axis] % examples:
        return None
    x = x.movedim(axis, 0)
    if x.shape[0] != examples:
        x = x.reshape(examples, -1, *x.shape[1:])
    if x.dim() == 1:
        return x[:, None]
    if x.dim() == 2:
        return x
    return x[:, -1] if x.dim() == 3 else x.reshape(*x.shape[:2], -1).mean(2)


def best(scores: torch.Tensor) -> torch.Tensor:
    """The place of the highest score of each example, shape (examples,)."""
    return scores.detach().nan_to_num(-torch.inf).argmax(1)
