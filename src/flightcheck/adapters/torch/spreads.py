"""How far predictions differ between the examples of a batch, beside how far their targets do."""

from __future__ import annotations

from typing import Any, Final

import torch

_OF_VALUES: Final = {
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "gaussian_nll_loss", "binary_cross_entropy",
}  # fmt: skip
_MOST_ELEMENTS: Final = 65_536
"""Elements looked at; examples beyond are left out."""


def relative_spread(
    function: str, prediction: torch.Tensor, target: torch.Tensor, settings: dict[str, Any]
) -> float | None:
    """The standard deviation over the batch of what is predicted for each value, over that of the targets.

    Predictions are taken as what they mean: logits as probabilities, logarithms as values, the scores of classes as the
    probability of each class. A model that answers the same for every example has 0, a perfect one 1.

    Returns:
        None for losses without values per example, for a batch of one, and for targets that do not differ.
    """
    if prediction.dim() < 2 or prediction.shape[0] < 2 or target.shape[:1] != prediction.shape[:1]:
        return None
    rows = max(2, _MOST_ELEMENTS // max(1, prediction[0].numel()))
    given, wanted = prediction.detach()[:rows].float(), target.detach()[:rows]
    if function in ("cross_entropy", "nll_loss"):
        if given.dim() < 3 or wanted.is_floating_point() or wanted.shape[1:] != given.shape[2:]:
            return None
        given = given.softmax(1)
        valid = (wanted >= 0) & (wanted < given.shape[1])
        if not bool(valid.all()):
            return None  # what is left out may differ from example to example
        wanted = torch.nn.functional.one_hot(wanted.long(), given.shape[1]).movedim(-1, 1)
    elif function == "binary_cross_entropy_with_logits":
        given = given.sigmoid()
    elif function == "poisson_nll_loss":
        given = given.exp() if settings.get("log_input", True) else given
    elif function not in _OF_VALUES:
        return None
    if given.shape != wanted.shape:
        return None
    there = float(wanted.float().flatten(1).std(0).mean())
    return float(given.flatten(1).std(0).mean()) / there if there > 0 else None
