"""All views of a model and a batch: at one moment, or as a film of several steps of a training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from flightcheck.errors import UsageError
from flightcheck.views import attribution
from flightcheck.views.activations import LARGE, Answers, Cells, Features, Maxima, TopExamples, answers_to, small
from flightcheck.views.attention import AttentionMap, attention_of
from flightcheck.views.attribution import Attribution, attributions_of
from flightcheck.views.batch import Batch, labels_of
from flightcheck.views.embedding import Embedding, embedded
from flightcheck.views.filters import colours_of, filters_of
from flightcheck.views.gradient_flow import GradientFlow, trained
from flightcheck.views.layers import Structure, structure_of
from flightcheck.views.scores import scores_of
from flightcheck.views.undisturbed import copied, surroundings, unwrapped

MOST_SNAPSHOTS: Final = 24
_MOST_NUMBERS: Final = 60_000_000
"""In the outputs of all layers together: half a gigabyte with their gradients."""


@dataclass
class Snapshot:
    """The network after so many steps."""

    step: int
    activations: dict[str, Cells] = field(default_factory=dict)
    """Path → small pictures of what each called module answers to the chosen example."""
    filters: dict[str, Cells] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)
    """Layer → root mean square of the gradient of the best scores with regard to its output."""
    trained: dict[str, float] = field(default_factory=dict)
    """Layer → root mean square of the training's own gradients of its parameters, where there are any."""
    scores: NDArray[np.float32] | None = None
    """Of the chosen example, shape (scores,)."""
    features: NDArray[np.float32] | None = None
    """What reaches the last layer with weights, shape (examples, features)."""


@dataclass
class Views:
    """Everything that is shown of a model and a batch, as NumPy arrays."""

    name: str
    """The model's class."""
    structure: Structure
    example: int
    """Which of the batch is chosen, counted from 0."""
    input: NDArray[Any]
    """The first tensor of the batch, examples first."""
    labels: NDArray[np.int64] | None
    """Shape (examples,)."""
    snapshots: list[Snapshot]
    """By step; at least one."""
    feature_maps: dict[str, Cells] = field(default_factory=dict)
    """Path → shape (channels, height, width), of layers that answer with pictures, at the last snapshot."""
    colours: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Path → kernels over red, green and blue, shape (filters, height, width, 3)."""
    top: list[TopExamples] = field(default_factory=list)
    embedding: Embedding | None = None
    attention: list[AttentionMap] = field(default_factory=list)
    attributions: list[Attribution] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be shown, and why."""
    seconds: float = 0.0
    """That it took to look."""

    @property
    def last(self) -> Snapshot:
        """The network as it is in all views of one moment."""
        return self.snapshots[-1]


class Frames:
    """Takes snapshots of a model while it trains, always with the same examples. The model stays as it is.

    Memory: one copy of the model while it looks; the outputs of all layers for at most 64 examples, and fewer where
    they are large, with their gradients; the small pictures of at most 24 snapshots.
    """

    def __init__(self, model: nn.Module, batch: Batch, example: int = 0) -> None:
        if not 0 <= example < batch.size:
            held = f"{batch.size} that are looked at, counted from 0 to {batch.size - 1}"
            raise UsageError(f"there is no example {example}: the batch holds {held}")
        if not isinstance(model, nn.Module):
            raise UsageError(f"a torch.nn.Module is needed to look into, but got {type(model).__name__}")
        self.model = unwrapped(model)
        self.batch = batch
        self.example = example
        self.structure: Structure | None = None
        self.snapshots: list[Snapshot] = []
        self.notes: list[str] = []
        self.seconds = 0.0

    def label(self, targets: Any, examples: int) -> None:
        """Note the targets of the whole batch of so many examples, if they are one whole number for each."""
        found = labels_of(targets, examples)
        if self.batch.labels is None and found is not None and len(found) >= self.batch.size:
            self.batch = replace(self.batch, labels=found[: self.batch.size])

    def take(self, step: int) -> None:
        """Look at the model as it is now, after so many steps.

        Raises:
            UsageError: it cannot be copied. What the model itself raises passes through.
        """
        started = time.perf_counter()
        with surroundings(self.model):
            self._snapshot(copied(self.model), step)
        self.seconds += time.perf_counter() - started

    def _snapshot(self, model: nn.Module, step: int) -> None:
        s = self.structure = self.structure or self._first_look(model)
        answers = Answers(s, self.example, small(len(s.layers)))
        features, flow = Features(s, model), GradientFlow(s)
        output = answers_to(model, self.batch.cut(self.batch.size), answers.look, flow.look, before=features.before)
        scores = scores_of(output, s.layers[0].axis, self.batch.size)
        why_not = flow.back(model, output)
        if why_not:
            self._note(f"no gradient flow: {why_not}")
        self.snapshots.append(
            Snapshot(
                step,
                answers.pictures,
                filters_of(model, s),
                flow.sizes if not why_not else {},
                trained(self.model, s),
                scores[self.example].detach().float().cpu().numpy() if scores is not None else None,
                features.found,
            )
        )
        if len(self.snapshots) > MOST_SNAPSHOTS:  # the whole training stays in sight, at half as many moments
            self.snapshots = [*self.snapshots[:-1:2], self.snapshots[-1]]

    def _first_look(self, model: nn.Module) -> Structure:
        """The layers; with fewer examples where their outputs would take much memory."""
        made = structure_of(model, self.batch)
        numbers = sum(math.prod(x.shape) for x in made.leaves() if x.shape is not None)
        if numbers > _MOST_NUMBERS and made.batch.size > 2:
            fewer = max(2, self.example + 1, made.batch.size * _MOST_NUMBERS // numbers)
            made = structure_of(model, made.batch.cut(fewer))
        self.batch = made.batch
        self.notes += made.notes
        return made

    def views(self) -> Views:
        """All views, those of one moment at the model as it is now: where `take` was last called.

        Raises:
            UsageError: nothing was taken, or the model cannot be copied.
        """
        if self.structure is None or not self.snapshots:
            raise UsageError("there is no snapshot to show")
        started = time.perf_counter()
        s, last = self.structure, self.snapshots[-1]
        first = self.batch.first.movedim(self.batch.axis, 0)
        if first.dtype is torch.bfloat16:
            first = first.float()
        labels = self.batch.labels.numpy() if self.batch.labels is not None else None
        views = Views(type(self.model).__name__, s, self.example, first.cpu().numpy(), labels, self.snapshots)
        views.notes = self.notes
        features = [x.features for x in self.snapshots if x.features is not None]
        with surroundings(self.model):
            model = copied(self.model)
            if last.features is not None and len({f.shape for f in features}) == 1:
                views.embedding = self._tried("embedding", lambda: embedded(Features(s, model).path, features))
            views.colours = colours_of(model, s)
            self._closer(model, views)
            views.attention = self._tried("attention", lambda: attention_of(model, self.batch, s, self.example)) or []
            if attribution.available():
                views.attributions = self._tried(
                    "attribution", lambda: attributions_of(model, self.batch, s, self.example, self.notes)
                ) or []  # fmt: skip
        views.seconds = self.seconds + time.perf_counter() - started
        return views

    def _closer(self, model: nn.Module, views: Views) -> None:
        """Larger pictures, and the examples that excite units most."""
        assert self.structure is not None
        answers, maxima = Answers(self.structure, self.example, LARGE), Maxima(self.structure, model)
        with torch.no_grad():
            answers_to(model, self.batch.cut(self.batch.size), answers.look, maxima.look)
        leaves = {x.path for x in self.structure.leaves()}
        views.feature_maps = {p: c for p, c in answers.pictures.items() if p in leaves and len(c) > 1}
        views.top = maxima.top()

    def _tried(self, what: str, make: Callable[[], Any]) -> Any:
        """One view; that it cannot be made costs no other."""
        try:
            return make()
        except Exception as e:
            self._note(f"no {what}: {type(e).__name__}: {str(e)[:200]}")
            return None

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
