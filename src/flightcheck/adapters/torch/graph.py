"""Reading the autograd graph: what it reaches, whose line made a node, where a NaN began. Never changes it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Set
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.records import Location

MOST_NODES: Final = 20_000
VIEWS: Final = {
    "ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "SqueezeBackward0", "SqueezeBackward1",
    "UnsqueezeBackward0", "TransposeBackward0", "PermuteBackward0", "TBackward0", "CloneBackward0", "SelectBackward0",
    "SliceBackward0", "AliasBackward0", "ToCopyBackward0", "ExpandBackward0", "AsStridedBackward0",
    "IndexBackward0", "UnbindBackward0", "SplitBackward0", "SqueezeBackward2",
}  # fmt: skip
"""Nodes that move values and change none."""
PICKS: Final = VIEWS | {"GatherBackward0", "IndexSelectBackward0"}
"""The same, and nodes that pick a value by a number: that of the action which was taken."""
FLAT: Final = ("round", "floor", "ceil", "trunc", "sign", "sgn")
"""Functions that are flat between their jumps: the gradient through them is zero."""
UNSAFE_AT_ZERO: Final = (
    "SqrtBackward", "RsqrtBackward", "LinalgVectorNormBackward", "NormBackward", "CdistBackward", "StdBackward",
    "PowBackward", "AcosBackward", "AsinBackward", "Atan2Backward", "XlogyBackward", "LogBackward", "Log2Backward",
    "Log10Backward", "DivBackward", "ReciprocalBackward", "ExpBackward",
)  # fmt: skip
"""Operations whose gradient can be infinite although their value is finite, likeliest first: at a zero, sqrt and norm
have a finite value and an infinite gradient; log and division are infinite themselves, unless a mask hides it."""


def nodes_of(node: Any, limit: int = MOST_NODES) -> Iterator[Any]:
    """Every node behind `node`, nearest first."""
    seen = {node}
    queue = deque([node])
    while queue and len(seen) < limit:
        current = queue.popleft()
        yield current
        for following, _ in current.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                queue.append(following)


def leaves_of(tensor: torch.Tensor, limit: int = MOST_NODES) -> list[torch.Tensor]:
    """The leaf tensors whose gradient this tensor can send back to."""
    if tensor.grad_fn is None:
        return [tensor] if tensor.requires_grad else []
    return [v for n in nodes_of(tensor.grad_fn, limit) if (v := getattr(n, "variable", None)) is not None]


def behind_views(node: Any, passed: Set[str] = VIEWS) -> Any:
    """The node that made the values: views and copies are passed over."""
    for _ in range(12):
        if node is None or node.name() not in passed or not node.next_functions:
            break
        node = node.next_functions[0][0]
    return node


def signature(loss: torch.Tensor) -> list[Any]:
    """The nodes of a graph in the reverse order of their execution, leaves left out."""
    nodes = [n for n in nodes_of(loss.grad_fn) if n.name() != "torch::autograd::AccumulateGrad"]
    return sorted(nodes, key=_executed, reverse=True)


def _executed(node: Any) -> int:
    try:
        return int(node._sequence_nr())
    except (RuntimeError, AttributeError):
        return 0


class NodeLines:
    """Which line made a node of this graph, learnt from earlier graphs of the same program.

    In the learning pass every node's line is known. Later graphs are matched to the learnt one by the name of the
    operation and its rank among those of the same name, counted from the loss.
    """

    def __init__(self) -> None:
        self._learnt: dict[str, dict[tuple[str, int], Location]] = {}

    def learn(self, site: str, loss: torch.Tensor, lines: dict[Any, Location]) -> None:
        """Remember the lines of a graph whose nodes are known."""
        table = self._learnt.setdefault(site, {})
        for node, key in _ranked(signature(loss)):
            if node in lines:
                table[key] = lines[node]

    def unsafe(self, site: str) -> list[tuple[str, Location]]:
        """Learnt operations whose gradient can be infinite at a finite value: likeliest, then nearest, first."""
        table = self._learnt.get(site, {})
        found = [
            (kind, rank, name, line)
            for (name, rank), line in table.items()
            for kind, start in enumerate(UNSAFE_AT_ZERO)
            if name.startswith(start)
        ]
        return [(name, line) for _, _, name, line in sorted(found, key=lambda f: f[:2])]

    def line(self, site: str, loss: torch.Tensor, node: Any, known: dict[Any, Location]) -> Location | None:
        """The line of a node of a later graph."""
        if node in known:
            return known[node]
        table = self._learnt.get(site, {})
        return next((table.get(key) for n, key in _ranked(signature(loss)) if n == node), None)


def _ranked(nodes: list[Any]) -> Iterator[tuple[Any, tuple[str, int]]]:
    counts: dict[str, int] = {}
    for node in nodes:
        name = node.name()
        counts[name] = counts.get(name, 0) + 1
        yield node, (name, counts[name])


def origin_of_non_finite(loss: torch.Tensor) -> tuple[Any, str, dict[str, Any]] | None:
    """The earliest executed operation of a graph that made a NaN or an infinity, from what it saved for backward.

    Returns:
        The node, the reason in words, and the range of its input; None if nothing was saved that tells.
    """
    if loss.grad_fn is None:
        return None
    for node in reversed(signature(loss)):
        reason = _violation(node)
        if reason is not None:
            return node, *reason
    return None


def _saved(node: Any, name: str) -> torch.Tensor | None:
    try:
        value = getattr(node, f"_saved_{name}")
    except (AttributeError, RuntimeError):
        return None
    return value.detach() if is_plain_tensor(value) and value.is_floating_point() and value.numel() else None


def _violation(node: Any) -> tuple[str, dict[str, Any]] | None:
    name = node.name().rstrip("0123456789").removesuffix("Backward")
    given = _saved(node, "self")
    if name in ("Log", "Log2", "Log10") and given is not None and float(given.min()) <= 0:
        return ("the logarithm of 0 or less", _range(given))
    if name == "Log1p" and given is not None and float(given.min()) <= -1:
        return ("the logarithm of 0 or less", _range(given))
    result = _saved(node, "result")
    if name in ("Sqrt", "Rsqrt") and result is not None and not _finite(result):
        negative = bool(torch.isnan(result).any())
        return ("the square root of a negative number" if negative else "1/0", _range(result, of_result=True))
    divisor = _saved(node, "other") if name == "Div" else None
    if divisor is not None and bool((divisor == 0).any()):
        return ("a division by 0", _range(divisor))
    if name == "Reciprocal" and result is not None and not _finite(result):
        return ("a division by 0", _range(result, of_result=True))
    if name == "Exp" and result is not None and not _finite(result):
        return ("the exponential of a large number", _range(result, of_result=True))
    if name == "Pow" and given is not None and _finite(given) and result is not None and not _finite(result):
        return ("a power of 0 or of a negative number", _range(given))
    if result is not None and not _finite(result):
        return ("a result that is not finite", _range(result, of_result=True))
    return None


def _finite(tensor: torch.Tensor) -> bool:
    return math.isfinite(float(tensor.detach().double().sum()))


def _range(tensor: torch.Tensor, *, of_result: bool = False) -> dict[str, Any]:
    values = tensor.detach().flatten()
    finite = values[torch.isfinite(values)].float()
    return {
        "minimum": float(finite.min()) if finite.numel() else None,
        "maximum": float(finite.max()) if finite.numel() else None,
        "of_result": of_result,
        "zeros": int((values == 0).sum()),
        "nonfinite": int(values.numel() - finite.numel()),
        "dtype": str(tensor.dtype).removeprefix("torch."),
    }


def node_of(result: Any) -> Any:
    """The graph node that made a result; None for leaves, and for views whose history PyTorch refuses to tell."""
    try:
        return result.grad_fn if isinstance(result, torch.Tensor) and result.requires_grad else None
    except RuntimeError:  # a view made under no_grad and modified in place since
        return None
