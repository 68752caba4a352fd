"""A model that changes while it is trained: a new head, layers that are frozen or set free, another model.

The structure is learnt in the first rounds. Later an exact fact is checked where that is cheap (a round that is
measured in full) and where news are likely (an evaluation is over, a module was constructed, more or fewer parameters
want a gradient): does a trained model hold a parameter that is not known, or one that wants no gradient any more, or
wants one now?
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch

from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.watch import Watch

_MOST_CONSTRUCTIONS: Final = 64
"""A script that constructs modules in every round is not asked in every round."""
_MOST_SWITCHES: Final = 16
"""Nor is one that switches parameters off and on, as opponents do who take turns."""
_MOST_COUNTED: Final = 1000


class Restructuring:
    """Tells when the structure of the trained models is not the one that was learnt."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self.due = False
        """The next round that is not rested is to be looked at."""
        self._another = False
        """A model was trained that was not before."""
        self._wanted: dict[int, bool] = {}
        """Whether a parameter wanted a gradient when it was last looked at."""
        self._toggled: set[int] = set()
        """Parameters of which that changed while the training was learnt: opponents take turns."""
        self._learnt = 0
        """The round in which the structure was learnt last."""
        self._held: set[int] = set()
        """Parameters that a model held when it was last looked at."""
        self._constructions = self._switches = 0
        self._wanting = -1
        """How many parameters wanted a gradient when a round was over; -1 before it was counted."""

    def constructed(self) -> None:
        """A module was made while the training goes on."""
        if self.watch.step and self._constructions < _MOST_CONSTRUCTIONS:
            self._constructions += 1
            self.due = True

    def round_over(self) -> None:
        """Were parameters frozen or set free? So few are counted that it costs nothing."""
        refs = self.discovery.parameter_refs
        if len(refs) > _MOST_COUNTED or self._switches >= _MOST_SWITCHES:
            return
        wanting = len([None for ref in refs if (p := ref()) is not None and p.requires_grad])
        if wanting != self._wanting and self._wanting >= 0:
            self._switches += 1
            self.due = True
        self._wanting = wanting

    def trained(self, root: Root) -> None:
        """A model was called in training; told before its calls are counted."""
        if not (self.watch.learning or root.train_calls):
            self._another = self.due = True

    def learn(self) -> None:
        """Remember the structure, in a round of the learning pass, and which parameters have left it."""
        held: set[int] = set()
        same_phase = self.watch.step - self._learnt <= 1
        self._learnt = self.watch.step
        for index, parameter in self._parameters(list(self.discovery.roots.values())):
            if index is None:
                continue
            held.add(index)
            if same_phase and self._wanted.get(index, parameter.requires_grad) is not parameter.requires_grad:
                self._toggled.add(index)
            self._wanted[index] = parameter.requires_grad
        for index in self._held - held:
            self.discovery.update_parameter(index, left=self.watch.step)
        for index in held - self._held:
            self.discovery.update_parameter(index, left=-1)
        self._held = held

    def changed(self) -> bool:
        """The structure is another one now. What began to want a gradient is noted; what ceased to stays recorded as
        it was, since it learnt before.
        """
        if not (self.due or self.watch.sampled):
            return False
        found, self.due, self._another = self._another, False, False
        for index, parameter in self._parameters([r for r in self.discovery.roots.values() if r.train_calls]):
            if index is None:
                found = True
            elif index not in self._toggled and self._wanted.get(index) is not parameter.requires_grad:
                found = True
                self._wanted[index] = parameter.requires_grad
                if parameter.requires_grad:
                    self.discovery.update_parameter(index, requires_grad=True)
        return found

    def _parameters(self, roots: list[Root]) -> Iterator[tuple[int | None, torch.Tensor]]:
        """Of models, with their indices; None for one that is not known."""
        for root in roots:
            module = root.module()
            if module is not None:
                for parameter in module.parameters():
                    yield self.discovery.parameter_index(parameter), parameter
