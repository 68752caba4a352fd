"""Dropout at work in training, as a module or as a function: how much it drops, and whether anything comes after it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, Final

from torch import nn

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.dropouts import DropoutUse

OPERATIONS: Final = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "dropout_",
}  # fmt: skip
_ON_BY_DEFAULT: Final = ("dropout", "dropout1d", "dropout2d", "dropout3d")
_MOST_NODES: Final = 64
"""Between a prediction and dropout right before it: activations, scales and views."""
_MOST_USES: Final = 64


class Dropouts:
    """Looks at dropout in the learning pass; told of each call by `Operations`, and of predictions by `Losses`."""

    def __init__(self, watch: Watch, discovery: Discovery, modules: list[nn.Module]) -> None:
        self.watch = watch
        self.discovery = discovery
        self._modules = modules
        """Modules being called, outermost first."""
        self._round: dict[Any, tuple[Any, ...]] = {}
        """Node of this round → the use that made it."""
        self._known: dict[tuple[Any, ...], DropoutUse] = {}
        self._predictions: Counter[int] = Counter()
        """Per loss: its predictions that were looked at."""
        self._losses: dict[tuple[Any, ...], set[int]] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """One of `OPERATIONS` was called."""
        p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        on = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", name in _ON_BY_DEFAULT))
        node = getattr(result, "grad_fn", None)
        if not (on and isinstance(p, (int, float)) and p > 0) or node is None or not args:
            return
        module = self._modules[-1] if self._modules else None
        own = isinstance(module, nn.modules.dropout._DropoutNd)
        around = self._modules[-2:-1] if own else self._modules[-1:]
        index = self.discovery.module_index(module) if own and module is not None else None
        line = self.watch.lines.here()
        key = (line, float(p), -1 if index is None else index)
        if key not in self._known:
            if len(self._known) >= _MOST_USES:
                return
            made = behind_views(args[0].grad_fn) if getattr(args[0], "grad_fn", None) is not None else None
            given = made.name() if made is not None and made is not node else ""
            self._known[key] = DropoutUse(*key, inside=self._path(around), given_by=given, alone=own and index is None)
        self._known[key] = dataclasses.replace(self._known[key], calls=self._known[key].calls + 1)
        self._round[node] = key

    def _path(self, around: list[nn.Module]) -> str:
        index = self.discovery.module_index(around[0]) if around else None
        return self.discovery.modules[index].path if index is not None else ""

    def predicted(self, loss: int, made: Any) -> None:
        """The loss of this number was given a prediction that this node made."""
        if not self.watch.learning:
            return
        self._predictions[loss] += 1
        for key in self._last_before(made):
            self._known[key] = dataclasses.replace(self._known[key], on_predictions=self._known[key].on_predictions + 1)
            self._losses.setdefault(key, set()).add(loss)

    def _last_before(self, made: Any) -> set[tuple[Any, ...]]:
        """The uses through which all that the parameters gave to this node went; none where a parameter came later."""
        if not self._round or made is None:
            return set()
        found: set[tuple[Any, ...]] = set()
        waiting, seen = [made], {made}
        while waiting:
            node = waiting.pop()
            if node in self._round:
                found.add(self._round[node])
                continue
            if len(seen) > _MOST_NODES or hasattr(node, "variable"):
                return set()
            following = [n for n, _ in node.next_functions if n is not None and n not in seen]
            seen.update(following)
            waiting += following
        return found

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._round.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, (key, use) in enumerate(self._known.items()):
            seen = sum(self._predictions[n] for n in self._losses.get(key, ()))
            self.watch.writer.put(dataclasses.replace(use, loss_calls=seen), i)
