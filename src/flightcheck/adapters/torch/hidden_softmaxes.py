"""Softmaxes in the place of an activation: what goes straight from one into a linear layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.normalized_axes import behind_dropout
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.hidden_softmaxes import HiddenSoftmax
from flightcheck.recording.records import Location

_MOST_LINES: Final = 16
_BIAS_AT: Final = 2


class HiddenSoftmaxes:
    """Looks at the calls of linear layers in the learning pass; told of each by `Operations`."""

    def __init__(
        self, watch: Watch, lines: Mapping[Any, Location], owners: Mapping[Any, int], modules: Sequence[Any]
    ) -> None:
        self._watch = watch
        self._lines = lines
        self._owners = owners
        self._modules = modules
        self._seen: set[Any] = set()
        self._found: dict[Location | None, HiddenSoftmax] = {}
        self._layers: dict[Location | None, set[int]] = {}

    def look(self, args: Any, kwargs: Any) -> None:
        """``linear`` was called."""
        if not args or not isinstance(args[0], torch.Tensor) or not args[0].requires_grad:
            return
        bias = args[_BIAS_AT] if len(args) > _BIAS_AT else kwargs.get("bias")
        node = behind_views(args[0].grad_fn)
        if node is not None and (dropped := behind_dropout(node)) is not None:
            node = behind_views(dropped)
        if bias is None or node is None or node.name() != "SoftmaxBackward0":
            return
        dims, axis = args[0].dim(), node._saved_dim
        if axis not in (-1, dims - 1, 2**64 - 1) or args[0].shape[-1] < 2:
            return
        line = self._lines.get(node)
        if line not in self._found and len(self._found) >= _MOST_LINES:
            return
        known = self._found.get(line) or HiddenSoftmax(line, int(args[0].shape[-1]), module=self._owners.get(node, -1))
        fed = self._layers.setdefault(line, set())
        if node not in self._seen:  # several layers behind one softmax are one place
            self._seen.add(node)
            fed.add(id(self._modules[-1]) if self._modules else 0)
        self._found[line] = dataclasses.replace(known, calls=known.calls + 1, layers=len(fed))

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._seen.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._found.values()):
            self._watch.writer.put(found, i)
