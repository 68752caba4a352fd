"""Which layer's output reached which layer: read from the graph of a backward pass, while it is there anyway."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import torch

from flightcheck.adapters.torch.batches import tensors_in
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.graph import MOST_NODES
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.data_flow import DataFlow

_QUIET: Final = 2
"""Walks one after the other that told nothing new: then all losses of the training were seen."""


class DataFlows:
    """Walks the graphs of the learning pass, and keeps pairs of layers."""

    def __init__(self, watch: Watch, discovery: Discovery, operations: Operations) -> None:
        self._watch = watch
        self._discovery = discovery
        self._operations = operations
        self._edges: dict[tuple[int, int], None] = {}
        self._whole = True
        self._quiet = 0

    def returned(self, index: int, result: Any) -> None:
        """A module returned several tensors; `Operations.owners` knows the first of them."""
        several = tuple(result) if isinstance(result, (tuple, list)) else ()
        for _, tensor in tensors_in(several, result if isinstance(result, dict) else {}):
            if tensor.grad_fn is not None:
                self._operations.parts.setdefault(tensor.grad_fn, index)

    def follow(self, loss: torch.Tensor) -> None:
        """Walk from a loss to the inputs; every layer on the way hands its output to the one that was met before it."""
        if loss.grad_fn is None or self._quiet >= _QUIET:
            return
        before, layers = len(self._edges), self._layers()
        owners, parts = self._operations.owners, self._operations.parts
        queue: deque[tuple[Any, int]] = deque([(loss.grad_fn, -1)])
        seen = {(loss.grad_fn, -1)}
        while queue:
            node, taker = queue.popleft()
            owner = owners.get(node, parts.get(node, -1))
            if owner in layers and owner != taker:
                if taker >= 0:
                    self._edges[owner, taker] = None
                taker = owner
            for following, _ in node.next_functions:
                if following is not None and (following, taker) not in seen:
                    seen.add((following, taker))
                    queue.append((following, taker))
            if len(seen) > MOST_NODES:
                self._whole = False
                break
        self._quiet = 0 if len(self._edges) > before else self._quiet + 1

    def _layers(self) -> set[int]:
        """Called modules that hold no other called one."""
        called = [m for m in self._discovery.modules.values() if m.order >= 0]
        around: set[tuple[int, str]] = set()
        for m in called:
            path = m.path
            while "." in path:
                path = path.rpartition(".")[0]
                around.add((m.root, path))
        return {m.index for m in called if (m.root, m.path) not in around}

    def save(self) -> None:
        """Write what was found; nothing where no graph was walked."""
        if self._edges:
            self._watch.writer.put(DataFlow([[a, b] for a, b in self._edges], self._whole))
