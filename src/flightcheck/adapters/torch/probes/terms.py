"""How much does each term of a loss pull on the weights that it shares with the others?

Before a backward of the script the gradient is computed once for each term, with those of the other terms set to zero
where they enter it. The factors of the terms are in it, whatever made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.probes.sources import as_written
from flightcheck.adapters.torch.terms import TermNode
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe

_EVERY: Final = 20
"""Steps from one look to the next."""
_MOST_TERMS: Final = 8


def install(b: Boundaries, patch: Patch) -> None:
    """Look at the terms of each backward in every twentieth step."""
    looks: list[dict[str, Any]] = []
    b.observer.keep_learning()

    def look(loss: torch.Tensor, found: list[TermNode]) -> None:
        nodes = [term.node for term in found]
        if b.observer.watch.step % _EVERY or not 2 <= len(nodes) <= _MOST_TERMS:
            return
        models = [m for root in b.observer.discovery.roots.values() if (m := root.module()) is not None]
        parameters = list({id(p): p for m in models for p in m.parameters() if p.requires_grad}.values())
        with b.unwatched():
            told = shares(loss, nodes, parameters)
        terms = b.observer.operations.terms
        for term, node in zip(told, nodes, strict=True):
            line, value = b.observer.operations.lines.get(node), terms.value_of(node)
            term |= {"line": line.line if line else 0, "file": as_written(line.file) if line else "", "value": value}
            term["site"] = terms.sites.get(node, -1)
        if told:
            looks.append({"step": b.observer.watch.step, "terms": told})

    def told() -> Probe | None:
        return Probe("terms", {"looks": looks}) if looks else None

    b.observer.operations.terms.at_backward = look
    b.probes.append(told)
    b.acted(patch)


def shares(loss: torch.Tensor, nodes: list[Any], parameters: Sequence[torch.Tensor]) -> list[dict[str, Any]]:
    """For each term its share of the gradient of the shared parameters.

    Args:
        loss: one number, with its graph.
        nodes: the autograd nodes of the terms.
        parameters: those that may be shared.

    Returns:
        ``norm`` (of the gradient that this term alone gives the shared parameters), ``share`` (of the sum of all
        norms) and ``toward`` (the part of the whole gradient that it makes, signed); nothing if fewer than two terms
        reach the same parameter.
    """
    apart = [_alone(loss, node, nodes, parameters) for node in nodes]
    shared = [i for i in range(len(parameters)) if sum(_acts(gradients[i]) for gradients in apart) > 1]
    if not shared:
        return []
    flat = [torch.cat([_flat(gradients[i], parameters[i]) for i in shared]) for gradients in apart]
    whole = torch.stack(flat).sum(0)
    norms = [float(g.norm()) for g in flat]
    total, square = sum(norms), float(whole @ whole)
    return [
        {
            "norm": norm,
            "share": norm / total if total else 0.0,
            "toward": float(g @ whole) / square if square else 0.0,
        }
        for g, norm in zip(flat, norms, strict=True)
    ]


def _alone(loss: torch.Tensor, node: Any, nodes: list[Any], parameters: Sequence[torch.Tensor]) -> list[Any]:
    hooks = [other.register_prehook(_nothing) for other in nodes if other is not node]
    try:
        return list(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True))
    finally:
        for hook in hooks:
            hook.remove()


def _nothing(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if g is None else torch.zeros_like(g) for g in gradients)


def _acts(gradient: torch.Tensor | None) -> bool:
    return gradient is not None and bool(gradient.detach().abs().max() > 0)


def _flat(gradient: torch.Tensor | None, parameter: torch.Tensor) -> torch.Tensor:
    return torch.zeros(parameter.numel()).double() if gradient is None else gradient.detach().double().cpu().reshape(-1)
