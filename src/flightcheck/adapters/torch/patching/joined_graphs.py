"""Patch of graphs that are joined to a batch without shifting their edges."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def edges(b: Boundaries, patch: Patch) -> None:
    """``edges:train.py:34``: what is joined at a line are edges; each piece is shifted by the nodes before it.

    The nodes are joined in as many pieces, before it or after it; the first batch tells which.
    """
    nodes: list[list[int]] = []
    """Sizes of the pieces that were joined since edges were, which may be nodes."""
    waiting: list[tuple[torch.Tensor, list[torch.Tensor]]] = []
    order: list[str] = []

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        pieces = given[0][0] if name in ("cat", "concat", "concatenate", "hstack") and given[0] else None
        if not isinstance(pieces, (list, tuple)) or not isinstance(result, torch.Tensor):
            return result
        with b.unwatched():
            whole = result.dtype is torch.int64
            if whole and b.is_at(patch.value) and _of_pairs(pieces):
                known = next((s for s in reversed(nodes) if _fit(pieces, s)), None)
                order[:] = order or ["after" if known is None else "before"]
                if order[0] == "before" and known is not None:
                    _shift(result, list(pieces), known)
                    b.acted(patch)
                waiting[:] = [(result, list(pieces))] if order[0] == "after" else []
                nodes.clear()
            elif all(isinstance(p, torch.Tensor) and p.dim() for p in pieces):
                sizes = [len(p) for p in pieces]
                nodes[:] = [*nodes[-7:], sizes]
                if waiting and _fit(waiting[0][1], sizes):
                    _shift(*waiting.pop(), sizes)
                    b.acted(patch)
        return result

    b.at_operations(operation)


def _of_pairs(pieces: Any) -> bool:
    """Each piece is (2, edges) or (edges, 2)."""
    return all(isinstance(p, torch.Tensor) and p.dim() == 2 and 2 in p.shape for p in pieces)


def _fit(pieces: Any, sizes: list[int]) -> bool:
    """These may be the numbers of nodes: no edge of a piece leaves them."""
    return len(pieces) == len(sizes) and all(
        not p.numel() or int(p.max()) < n for p, n in zip(pieces, sizes, strict=True)
    )


def _shift(joined: torch.Tensor, pieces: list[torch.Tensor], sizes: list[int]) -> None:
    along = next(d for d in (1, 0) if sum(p.shape[d] for p in pieces) == joined.shape[d])
    start = offset = 0
    for piece, size in zip(pieces, sizes, strict=True):
        joined.narrow(along, start, piece.shape[along]).add_(offset)
        start, offset = start + piece.shape[along], offset + size
