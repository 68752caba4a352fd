"""Evaluations: calls of models that no backward follows, until the training goes on."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.answers import Answers
from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.losses import Losses
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.phases import Phase, modes_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location

_MOST_EVALUATIONS: Final = 2000
_LOOKED_AT: Final = 3
"""Evaluations whose operations are looked at, besides those at new lines."""


class Evaluations:
    """The phases of evaluation: one for each model, from its first call to the backward that ends them all."""

    def __init__(self, watch: Watch, discovery: Discovery, operations: Operations, losses: Losses) -> None:
        self.watch = watch
        self.discovery = discovery
        self.operations = operations
        self.losses = losses
        self.phases: dict[int, Phase] = {}
        """Those that go on, by the index of the root."""
        self.steps: list[int] = []
        """Steps at which one ended that measured something, or was in eval mode."""
        self.answers = Answers(watch)
        self.begins: Callable[[Root], None] = lambda root: None
        """Told the model at the first call of every phase."""
        self.dropout_line: Location | None = None
        """Where the call that runs now used dropout that is on: as a function, or in a module that the model does not
        hold.
        """
        self.dropout_unheld = False
        self._over = 0
        self._inputs: Sequence[tuple[str, weakref.ref[torch.Tensor]]] = ()
        self._source = -1

    def given(self, inputs: Sequence[tuple[str, weakref.ref[torch.Tensor]]], source: int) -> None:
        """A model is called with these, from this dataset: in training or not, which only its result tells."""
        self._inputs, self._source = inputs, source

    def called(self, root: Root, data: dict[str, Any], location: Location | None, module: nn.Module) -> None:
        """The call gave no graph: it is one of an evaluation."""
        phase = self.phases.get(root.info.index)
        seen = self.operations.metrics + self.losses.eval_calls
        for other in self.phases.values():
            other.measured |= other.latest and seen > other.seen
            other.latest, other.seen = other is phase, seen
        if phase is None or (phase.training_flag and not module.training and not phase.measured):
            # What came before in train mode measured nothing: it renewed statistics of BatchNorm (update_bn).
            known = data if "dropout" in data else modes_of(root)
            modes = {k: known[k] for k in ("dropout", "batchnorm") if known[k]}
            phase = Phase(root, location, modes, module.training, bool(data["grad"]))
            phase.first_metrics, phase.seen = self.operations.metrics, seen
            self.phases[root.info.index] = phase
            self.begins(root)
            self.operations.evaluation_begins(location, first=self._over < _LOOKED_AT)
        elif location is not phase.location:  # a test set behind the last validation
            self.operations.evaluation_begins(location, first=False)
        given = [t for _, ref in self._inputs if (t := ref()) is not None]
        rows = len(given[0]) if given and given[0].dim() else 1
        self.operations.comparisons.tallies.evaluated(rows, self._source)
        phase.called(given, self.watch.lines, location, module.training)
        if phase.functional_dropout is None:
            phase.functional_dropout, phase.unheld_dropout = self.dropout_line, self.dropout_unheld
        self.dropout_line = None

    def compared(self, one: Any, other: Any) -> None:
        """Two tensors were compared, and that not in a training call."""
        if not self.phases:
            return
        self.answers.compared(one, other)
        chosen = [self.operations.comparisons.is_choice(t) for t in (one, other)]
        if chosen[0] != chosen[1]:
            self._labels(other if chosen[0] else one)
            self.answers.decided(*((one, other) if chosen[0] else (other, one)))

    def scored(self, scores: torch.Tensor, target: torch.Tensor) -> None:
        """A classification loss was computed without gradients."""
        self.answers.scored(scores, target)
        if scores.dim() == 2:
            self._labels(target)

    def _labels(self, labels: Any) -> None:
        examples = next((t for _, ref in self._inputs if (t := ref()) is not None), None)
        self.answers.labels.given(labels, self._source, examples)

    def end(self) -> None:
        """Training goes on, or the watch ends: write the phases that are over."""
        loss_value = self.losses.eval_losses.take() if self.phases else None
        for phase in self.phases.values():
            losses, metrics = self.losses.eval_calls, self.operations.metrics - phase.first_metrics
            if self._over < _MOST_EVALUATIONS:
                held = any(self.discovery.parameters[i].optimizers for i in phase.root.parameter_indices)
                self.watch.writer.append(phase.record(self.watch.step, losses, loss_value, metrics, held=held))
            if losses or metrics or not phase.training_flag:
                self.steps.append(self.watch.step)
            self._over += 1
            phase.root.eval_calls += phase.calls
        if self.phases:
            self.answers.end_phase()
            self.operations.comparisons.tallies.end_phase()
            self.operations.comparisons.scores.training_resumes()
            if not self.watch.learning:
                self.operations.rest()
        self.phases.clear()
        self.losses.eval_calls = 0
        self.losses.eval_losses.forget()
