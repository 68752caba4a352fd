"""The chain of operations from the line that compares a prediction with its target to the number handed to backward."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from flightcheck.adapters.torch.logits import LOG_OF_REST, LOG_P
from flightcheck.recording.records import Location

LEAF: Final = "torch::autograd::AccumulateGrad"
LONGEST: Final = 24
"""Nodes between a prediction and the module, or between a loss and its comparison."""
_MOST_ROWS: Final = 4096
_TOLERANCE: Final = 1e-5


@dataclass(frozen=True)
class HandmadeLoss:
    """A loss that entered a backward."""

    function: str
    """What the framework calls it."""
    reduction: str
    """``mean``, ``sum``, or ``batchmean`` (a sum divided by the number of examples)."""
    location: Location | None
    prediction: torch.Tensor
    """Without its graph."""
    prediction_node: Any
    target: torch.Tensor
    value: float
    comparison: Any
    """The node of the difference, or of the choice of classes."""
    target_is_right: bool
    part: str = ""
    """``log p`` where it is this part of a binary cross-entropy alone, without that of the labels 0."""


@dataclass(frozen=True)
class Chain:
    """How far a loss has come. Its elements are the differences until these are squared, then what is averaged."""

    function: str
    prediction: torch.Tensor
    target: torch.Tensor
    start: int
    """Number of the node that compared them."""
    target_is_right: bool = True
    one_hot: bool = False
    """The target has a 1 in the column of each label; otherwise it holds class ids, as far as there are classes."""
    rows: Any = None
    """What chose the rows in ``log_probs[rows, labels]``."""
    factor: float = 1.0
    """Constant before every element."""
    scale: float = 1.0
    """What reductions multiplied the sum of the elements with."""
    number: torch.Tensor | None = None
    """What the elements were reduced to."""
    per: float = 1.0
    """How often that holds the sum of all elements."""
    location: Location | None = None

    @property
    def items(self) -> int:
        """What a mean divides by."""
        return self.prediction.shape[0] if self.function == "nll_loss" else self.prediction.numel()

    @property
    def reductions(self) -> dict[str, float]:
        """What each reduction multiplies the sum of the elements with."""
        batch = self.prediction.shape[0] if self.prediction.dim() else 1
        return {"mean": 1 / self.items, "batchmean": 1 / batch, "sum": 1.0}

    @property
    def reduction(self) -> str:
        """The name of the reduction; empty if it has none."""
        scale = abs(self.scale)
        return next((name for name, usual in self.reductions.items() if abs(scale / usual - 1) < _TOLERANCE), "")


def same_differences(one: Chain, other: Chain) -> bool:
    """Both are differences of the same two tensors."""
    pairs = ((one.prediction, other.prediction), (one.target, other.target))
    return not one.function + other.function and all(a.data_ptr() == b.data_ptr() for a, b in pairs)


def loss_of(chain: Chain, node: Any) -> HandmadeLoss | None:
    """The loss that a chain became; None if it is no usual one after all."""
    assert chain.number is not None
    target: torch.Tensor | None = chain.target
    total, reduction = float(chain.number) / chain.per, chain.reduction
    if chain.function == "nll_loss":
        target, sign = _labels(chain)
        total *= -sign
        if chain.scale * sign > 0:
            return None  # the likelihood is minimized: another fault, or a part of something else
    half = chain.function == LOG_P
    if half and chain.scale > 0:
        return None  # the likelihood is minimized: another fault
    if target is None or not reduction or chain.function == LOG_OF_REST or (half and not _is_binary(chain.target)):
        return None
    if half:
        chain, total = replace(chain, function="binary_cross_entropy", prediction=chain.prediction.exp()), -total
    comparison, prediction_node = _start_of(node, chain.start)
    return HandmadeLoss(
        function=chain.function,
        reduction=reduction,
        location=chain.location,
        prediction=chain.prediction,
        prediction_node=prediction_node,
        target=target,
        value=total * chain.reductions[reduction],
        comparison=comparison,
        target_is_right=chain.target_is_right,
        part=LOG_P if half else "",
    )


def _is_binary(target: torch.Tensor) -> bool:
    """Labels of 0 and 1, of both."""
    return bool(((target == 0) | (target == 1)).all()) and bool((target == 0).any()) and bool((target == 1).any())


def _labels(chain: Chain) -> tuple[torch.Tensor | None, int]:
    """The class ids of a choice, and its sign (−1 for negated one-hot rows); None if it chose anything else."""
    target, rows, n = chain.target.detach(), chain.rows, chain.prediction.shape[0]
    if chain.one_hot:
        sign = -1 if bool((target < 0).any()) else 1
        hot = target * sign
        right = bool(((hot == 0) | (hot == 1)).all()) and bool((hot.sum(1) == 1).all())
        return (hot.argmax(1) if right else None), sign
    if isinstance(rows, torch.Tensor) and rows.dim() == 1 and n <= _MOST_ROWS:
        rows = rows.tolist()
    ordered = rows is None or (isinstance(rows, (list, tuple, range)) and list(rows) == list(range(n)))
    return (target.reshape(-1).long() if ordered else None), 1


def _start_of(node: Any, start: int) -> tuple[Any, Any]:
    """The node that compared prediction and target, and that of the prediction."""
    for _ in range(LONGEST):
        before = next((n for n, _ in node.next_functions if n is not None), None)
        if node._sequence_nr() == start:
            return node, before
        if before is None or before.name() == LEAF:
            break
        node = before
    return None, None
