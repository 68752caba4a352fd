"""An error of the prediction that does not depend on the script's loss: trainings with different losses compare."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.loss_chains import HandmadeLoss
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import REGRESSION, arguments_of
from flightcheck.recording.signals import ERROR

_SUM_TOLERANCE = 1e-3

Measure = Callable[[str, torch.Tensor, torch.Tensor], float | None]
"""The error of a loss function's prediction and target; None where it has none."""


class Scoring:
    """Writes the signal ``error``: per round the mean over the loss calls with gradients.

    Errors of classes and of numbers have no common unit. Where a training has both, those of classes count: numbers
    beside them are often outputs of a teacher or an encoder, which no error is measured against.
    """

    def __init__(self, observer: Any) -> None:
        self.observer = observer
        self._unwatched: Callable[[], AbstractContextManager[None]] = nullcontext
        self._step = -1
        self._values: list[float] = []
        self._has_classes = False
        self._count, self._mean, self._squares = 0, 0.0, 0.0
        self.replaced = False
        """Another rule judges both trainings: what is seen here does not count."""
        self.only = ""
        """The line of the only loss that counts (``train.py:31``), whatever it compares; empty: all do."""

        self.met: Callable[[], None] = lambda: None
        """Told when that loss is computed."""
        self.counts: Callable[[], bool] = lambda: True
        """Whether an error of now counts."""

    def install(self, boundaries: Boundaries) -> None:
        """Look at each loss call, as patches leave it, and at each loss written by hand."""
        self._unwatched = boundaries.unwatched
        boundaries.scoring = self
        boundaries.at_loss(self._around)
        boundaries.loss_swapped = self._swapped
        self.observer.losses.by_hand = self._by_hand
        self.observer.operations.by_hand.every_round = True

    def _by_hand(self, loss: HandmadeLoss) -> None:
        if self.replaced:
            return
        with torch.no_grad(), self._unwatched():
            error = self._error(loss.function, loss.prediction, loss.target, {})
        if error is not None:
            self._write(loss.function, error)

    def _swapped(self, name: str, prediction: torch.Tensor, target: torch.Tensor) -> None:
        if self.replaced or not (torch.is_grad_enabled() and prediction.requires_grad):
            return
        with torch.no_grad(), self._unwatched():
            error = self._error(name, prediction, target, {})
        if error is not None:
            self._write(name, error)

    def _around(self, call: Any, name: str, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        if not self.replaced:
            self.score(name, given, result, lambda n, prediction, target: self._error(n, prediction, target, given[1]))
        return result

    def score(self, name: str, given: Arguments, result: Any, measure: Measure) -> bool:
        """Measure a call of a loss function, if it is one of the training; returns whether there was an error."""
        if not (torch.is_grad_enabled() and isinstance(result, torch.Tensor) and result.requires_grad):
            return False
        try:
            with torch.no_grad(), self._unwatched():
                prediction, target, _ = arguments_of(given)
                error = measure(name, prediction, target)
        except Exception:  # a loss of an unusual shape: no error is recorded for it
            error = None
        if error is not None:
            self._write(name, error)
        return error is not None

    def _write(self, name: str, error: float) -> None:
        if not self.counts() or not self._is_meant():
            return
        watch = self.observer.watch
        of_classes = name not in REGRESSION
        if self._has_classes and not of_classes:
            return
        if watch.step != self._step or of_classes is not self._has_classes:
            self._step, self._values = watch.step, []
        self._has_classes = of_classes
        self._values.append(error)
        watch.writer.frame(ERROR, watch.step, [sum(self._values) / len(self._values)])

    def _is_meant(self) -> bool:
        at = self.observer.lines.here() if self.only else None
        if self.only and (at is None or f"{Path(at.file).name}:{at.line}" != self.only):
            return False
        self.met()
        return True

    def _error(self, name: str, prediction: Any, target: Any, options: dict[str, Any]) -> float | None:
        if not (isinstance(prediction, torch.Tensor) and isinstance(target, torch.Tensor)):
            return None
        if name in ("cross_entropy", "nll_loss"):
            return of_classes(prediction.detach().float(), target, int(options.get("ignore_index", -100)))
        if name == "kl_div" and prediction.dim() == 2 and prediction.shape == target.shape:
            return of_classes(prediction.detach().float(), target.exp() if options.get("log_target") else target, -100)
        if name.startswith("binary_cross_entropy"):
            return of_binary(name, prediction, target)
        if name in REGRESSION and prediction.numel() == target.numel():
            return self._relative(prediction.detach().reshape(-1).double(), target.detach().reshape(-1).double())
        return None

    def _relative(self, prediction: torch.Tensor, target: torch.Tensor) -> float | None:
        """Mean squared error over the variance of all targets so far (Welford)."""
        for value in target[:512][torch.isfinite(target[:512])].tolist():
            self._count += 1
            delta = value - self._mean
            self._mean += delta / self._count
            self._squares += delta * (value - self._mean)
        variance = self._squares / max(self._count, 1)
        return float((prediction - target).square().mean()) / variance if variance > 0 else None


def of_classes(x: torch.Tensor, target: torch.Tensor, ignore: int) -> float | None:
    """Of probabilities, of log-probabilities or of logits, whichever the values are."""
    if x.dim() == 1:
        x, target = x[None], target[None]
    sums = x.sum(1)
    if float(x.min()) >= 0 and float((sums - 1).abs().max()) < _SUM_TOLERANCE:
        x = x.clamp_min(1e-12).log()
    elif float(torch.logsumexp(x, 1).abs().max()) > _SUM_TOLERANCE:
        x = x - torch.logsumexp(x, 1, keepdim=True)
    if target.is_floating_point():
        return float(-(target.float() * x).sum(1).mean())
    chosen = target != ignore
    index = target.clamp(0, x.shape[1] - 1).unsqueeze(1)
    losses = -x.gather(1, index).squeeze(1)[chosen]
    return float(losses.mean()) if losses.numel() else None


def of_binary(
    name: str, prediction: torch.Tensor, target: torch.Tensor, chosen: torch.Tensor | None = None
) -> float | None:
    """Binary cross-entropy beyond that of a perfect prediction, targets of 0 to 1, over all elements or chosen ones.

    Targets between 0 and 1, such as grey values, have an entropy that no prediction goes below.
    """
    if prediction.numel() != target.numel():
        return None
    node = behind_views(prediction.grad_fn)
    x, y = prediction.detach().float().reshape(-1), target.detach().float().reshape(-1)
    if chosen is not None:
        x, y = x[chosen.reshape(-1)], y[chosen.reshape(-1)]
    probability = name == "binary_cross_entropy" or (node is not None and "Sigmoid" in node.name())
    p = x if probability else x.sigmoid()
    p = p.clamp(1e-7, 1 - 1e-7)
    certain = y.clamp(0, 1)
    floor = -(torch.xlogy(certain, certain) + torch.xlogy(1 - certain, 1 - certain)).mean()
    return float(-(y * p.log() + (1 - y) * (1 - p).log()).mean() - floor)
