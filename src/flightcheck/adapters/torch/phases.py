"""Evaluation phases: what was called in one, and through which loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import torch
from torch import nn

from flightcheck.adapters.torch.batches import batch_key
from flightcheck.adapters.torch.discovery import Root
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.provenance.loops import goes_round
from flightcheck.recording.records import Location

_COMPARED_CALLS: Final = 16
"""Calls of a phase whose inputs are compared with those before."""
_WAYS: Final = 2
_DEEPEST: Final = 12
"""Lines of a stack, innermost first."""


def modes_of(root: Root) -> dict[str, str]:
    """The mode of a model's dropout and BatchNorm: train, eval or mixed; empty where it has none."""
    return {"dropout": _mode_of(root.dropouts), "batchnorm": _mode_of(root.batchnorms)}


def _mode_of(modules: list[nn.Module]) -> str:
    flags = {m.training for m in modules}
    return "" if not flags else "mixed" if len(flags) > 1 else "train" if flags.pop() else "eval"


@dataclass
class Phase:
    """Calls of one root without a backward between them."""

    root: Root
    location: Location | None
    modes: dict[str, str]
    training_flag: bool
    grad_enabled: bool
    calls: int = 0
    digests: set[str] = field(default_factory=set)
    repeated: bool = False
    flipped: int = 0
    """Calls of the first one's line in train mode, where that was in eval mode."""
    first_metrics: int = 0
    latest: bool = True
    """No other root was called since."""
    seen: int = 0
    """Metrics and losses that were computed when a root was called last."""
    measured: bool = False
    """Behind a call of it a metric or a loss was computed, before another root was called."""
    functional_dropout: Location | None = None
    unheld_dropout: bool = False
    ways: list[list[Location]] = field(default_factory=list)
    """The lines on the stack of the first two calls, innermost first."""

    def called(self, inputs: list[torch.Tensor], lines: SourceLines, location: Location | None, training: bool) -> None:
        """The root is called with these, at a line, in train mode or not."""
        self.calls += 1
        self.flipped += training and not self.training_flag and location == self.location
        if self.calls <= _COMPARED_CALLS:
            digest = ",".join(str(batch_key(t)) for t in inputs)
            self.repeated |= digest in self.digests or any(map(_holds_copies, inputs))
            self.digests.add(digest)
        if self.calls <= _WAYS:
            self.ways.append(lines.stack(_DEEPEST))

    def loop(self) -> Location | None:
        """The line that goes round, where that is not the line of the call: a loop calls a function for each batch."""
        if len(self.ways) < _WAYS or self.ways[0] != self.ways[1]:
            return None
        around = next((at for at in self.ways[0] if goes_round(at.file, at.line)), None)
        return around if around != self.location else None

    def record(self, step: int, losses: int, loss_value: float | None, metrics: int, *, held: bool) -> Evaluation:
        """The phase, now that it is over; `held`: an optimizer holds parameters of the root."""
        return Evaluation(
            step=step,
            root=self.root.info.index,
            calls=self.calls,
            location=self.location,
            loop_location=self.loop(),
            modes=self.modes,
            losses=losses,
            loss_value=loss_value,
            metrics=metrics,
            same_input=self.repeated,
            grad_enabled=self.grad_enabled,
            training_flag=self.training_flag,
            flipped=self.flipped,
            functional_dropout=self.functional_dropout,
            unheld_dropout=self.unheld_dropout,
            held_by_optimizer=held,
        )


def _holds_copies(batch: torch.Tensor) -> bool:
    """Each example stands in it several times: all one after the other (``repeat``), or each (``expand``,
    ``repeat_interleave``).
    """
    n = len(batch) if batch.dim() > 1 else 0
    if n < _WAYS or not batch.is_cpu or not is_plain_tensor(batch):  # rows of sparse matrices are no views
        return False
    again = (batch[1:] == batch[:1]).flatten(1).all(1).nonzero().flatten()
    period = int(again[0]) + 1 if len(again) else 0
    if period > 1:
        return n % period == 0 and torch.equal(batch[period:], batch[:-period])
    times = next((i for i in range(1, n) if i - 1 >= len(again) or int(again[i - 1]) != i - 1), n) if period else 0
    if not times or n % times:
        return False
    groups = batch.reshape(n // times, times, -1)
    return bool((groups == groups[:, :1]).all())
