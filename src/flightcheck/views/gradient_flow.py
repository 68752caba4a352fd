"""How much of the gradient reaches each layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from flightcheck.views.calls import output_of
from flightcheck.views.layers import Structure
from flightcheck.views.scores import best, scores_of


class GradientFlow:
    """Told the output of every layer; keeps the size of the gradient that comes back to it."""

    def __init__(self, structure: Structure) -> None:
        self.sizes: dict[str, float] = {}
        """Layer → root mean square, over all examples, of the gradient of the best scores with regard to its output."""
        self._structure = structure
        self._leaves = {x.path for x in structure.leaves()}

    def look(self, path: str, module: nn.Module, args: Any, out: Any) -> None:
        """See `flightcheck.views.calls.Look`."""
        first = output_of(out)
        if path not in self._leaves or path in self.sizes or first is None or not first.requires_grad:
            return
        self.sizes[path] = 0.0  # what no gradient comes back to

        def arrived(gradient: torch.Tensor, path: str = path) -> None:
            self.sizes[path] = _size(gradient)

        first.register_hook(arrived)  # type: ignore[no-untyped-call]

    def back(self, model: nn.Module, output: Any) -> str:
        """Differentiate the best score of each example, or an output of one number, such as a loss.

        Returns:
            Why it cannot be done; empty where it was.
        """
        root, single = self._structure.layers[0], output_of(output)
        scores = scores_of(output, root.axis, self._structure.batch.size)
        if scores is not None:
            total = scores.gather(1, best(scores)[:, None]).sum()
        elif single is not None and single.numel() == 1 and single.is_floating_point():
            total = single.sum()
        else:
            return "the output has no scores for each example"
        if not total.requires_grad:
            return "the output does not depend on anything that has gradients"
        # Not `backward`: what a model reaches beside its modules (a closure) is no copy, and must not get gradients.
        parameters = [p for p in model.parameters() if p.requires_grad]
        torch.autograd.grad(total, parameters, allow_unused=True)
        return ""


def trained(model: nn.Module, structure: Structure) -> dict[str, float]:
    """The gradients of the training itself, where they lie in the model now.

    Returns:
        Layer → root mean square of the gradients of its parameters; layers without any are left out.
    """
    modules, found = dict(model.named_modules()), {}
    for x in structure.leaves():
        module = modules.get(x.path)
        given = [p.grad for p in module.parameters() if p.grad is not None] if module is not None else []
        given = [g for g in given if g.layout is torch.strided and g.numel()]
        count = sum(g.numel() for g in given)
        if count:
            squares = sum(float(g.detach().float().square().sum()) for g in given)
            found[x.path] = float((squares / count) ** 0.5)
    return found


def _size(gradient: torch.Tensor) -> float:
    return float(gradient.detach().float().square().mean().sqrt())
