"""Random numbers whose mean or width a model made, and that give no gradient back to it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import nodes_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.loss_records import RandomDraw
from flightcheck.recording.records import Location

_DRAWS: Final = {
    "NormalBackward": "torch.normal", "PoissonBackward": "torch.poisson", "BernoulliBackward": "torch.bernoulli",
    "LogNormalBackward": "log_normal_", "ExponentialBackward": "exponential_", "CauchyBackward": "cauchy_",
}  # fmt: skip
"""Nodes whose gradient is zero, whatever comes from behind."""
_WALK_LIMIT: Final = 4000


class RandomDraws:
    """Looks at losses and their graphs in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._samples: dict[int, tuple[torch.Tensor, Location | None, frozenset[int]]] = {}
        """Identity of what `sample` gave in this round → itself, the line, the parameters behind the distribution."""
        self._used: dict[Location | None, frozenset[int]] = {}
        self._known: dict[tuple[str, Location | None], RandomDraw] = {}

    def sampled(self, result: Any, line: Location | None, parameters: Iterable[int]) -> None:
        """`Distribution.sample` gave this, although gradients are wanted around it."""
        if isinstance(result, torch.Tensor):
            self._samples[id(result)] = (result, line, frozenset(parameters))

    def look(self, args: Any, result: Any) -> None:
        """An operation was given these: what is made of a sample without a gradient is one, too."""
        if not self._samples or not isinstance(result, torch.Tensor):
            return
        for tensor in args:
            known = self._samples.get(id(tensor)) if isinstance(tensor, torch.Tensor) else None
            if known is None or known[0] is not tensor:
                continue
            if not result.requires_grad:
                self._samples[id(result)] = (result, *known[1:])
            elif not _in_distributions():  # log_prob has a gradient of its own
                self._used[known[1]] = known[2]

    def reached(
        self, loss: torch.Tensor, lines: Mapping[Any, Location], parameter_of: Callable[[torch.Tensor], int | None]
    ) -> None:
        """Backward is called on `loss`."""
        if loss.grad_fn is None:
            return
        for node in nodes_of(loss.grad_fn, _WALK_LIMIT):
            kind = next((k for k in _DRAWS if node.name().startswith(k)), None)
            if kind is None:
                continue
            behind = {v for n in nodes_of(node, _WALK_LIMIT) if (v := getattr(n, "variable", None)) is not None}
            self._add(_DRAWS[kind], lines.get(node), {i for p in behind if (i := parameter_of(p)) is not None})
        for line, parameters in self._used.items():
            self._add("sample", line, parameters)
        self._used.clear()

    def _add(self, operation: str, line: Location | None, parameters: Iterable[int]) -> None:
        known = self._known.get((operation, line)) or RandomDraw(operation, line, self.watch.step)
        parameters = sorted({*known.parameters, *parameters})
        self._known[operation, line] = dataclasses.replace(known, rounds=known.rounds + 1, parameters=parameters)

    def end_round(self) -> None:
        """Forget this round's tensors."""
        self._samples.clear()
        self._used.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, draw in enumerate(self._known.values()):
            self.watch.writer.put(draw, i)


def _in_distributions() -> bool:
    """A method of a distribution is on the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        if "distributions" in frame.f_code.co_filename and "torch" in frame.f_code.co_filename:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
