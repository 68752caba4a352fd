"""Which part of an example the answer rests on: saliency, integrated gradients, Grad-CAM and occlusion, by Captum."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from flightcheck.frozen import frozen
from flightcheck.views.batch import Batch
from flightcheck.views.layers import Structure
from flightcheck.views.scores import best, scores_of

HOW_TO_GET: Final = "pip install captum"
_STEPS: Final = 32
"""Of the path of integrated gradients."""
_LONG: Final = 0.2
"""Seconds of one call from which on half as many steps and windows are used."""
_AT_ONCE: Final = 8
"""Changed examples that are computed together."""
_WINDOWS: Final = 14
"""Places of the occluding window along each axis, at most."""


@frozen
class Attribution:
    """How much each part of the chosen example's input counts for its best score."""

    method: str
    values: NDArray[np.float32]
    """Shape of the input without the examples: (channels, height, width) summed over channels to (height, width),
    (positions, features), (features,), of token ids (positions,)."""
    signed: bool
    """Negative values count against the score; else only the size is told."""
    target: int
    """The place of the score."""
    note: str = ""


def available() -> bool:
    """Captum is installed."""
    try:
        return importlib.util.find_spec("captum") is not None
    except ValueError:  # a test put something in its place
        return False


def attributions_of(
    model: nn.Module, batch: Batch, structure: Structure, example: int, notes: list[str]
) -> list[Attribution]:
    """All methods that fit the model's input.

    Args:
        model: a copy in evaluation mode.
        batch: of the structure; its first tensor is explained.
        structure: of the model.
        example: counted from 0.
        notes: gets a sentence for each method that could not be used.
    """
    asked = _Asked(model, batch.cut(1, example), structure)
    target = asked.target()
    if target is None:
        notes.append("no attribution: the output has no scores for each example")
        return []
    if asked.slow:
        notes.append("attributions are coarser than usual, since a call of the model takes long")
    made = []
    for method, signed, explain in _methods(asked, model, structure):
        try:
            values = explain(target)
        except Exception as e:
            cut = "not have been used in the graph" in str(e)
            why = "no gradient leads back to the input" if cut else f"{type(e).__name__}: {str(e)[:200]}"
            notes.append(f"no {method.lower()}: {why}")
            continue
        if asked.tokens and values.ndim > 1:
            values = values.sum(-1)
        elif values.ndim >= 3:
            values = values.sum(0) if signed else np.abs(values).max(0)
        values = values if signed else np.abs(values)
        made.append(Attribution(method, values.astype(np.float32), signed, target))
    return made


class _Asked:
    """One example as Captum wants it: examples first."""

    def __init__(self, model: nn.Module, one: Batch, structure: Structure) -> None:
        self.model = model
        self.one = one
        self.input = one.first.movedim(one.axis, 0)
        self.tokens = not one.first.is_floating_point()
        self.slow = False
        """A call takes long: then fewer are made."""
        self._axis = structure.layers[0].axis

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of changed examples, shape (changed, scores)."""
        batch = self.one.repeated(x.shape[0]).with_first(x.movedim(0, self.one.axis))
        scores = scores_of(self.model(*batch.args, **batch.kwargs), self._axis, x.shape[0])
        if scores is None:
            raise ValueError("the output has no scores for each example")
        return scores

    def target(self) -> int | None:
        """The place of the best score; None where there are no scores. Also notes whether the model is slow."""
        started = time.perf_counter()
        with torch.no_grad():
            try:
                place = int(best(self(self.input))[0])
            except ValueError:
                return None
        self.slow = time.perf_counter() - started > _LONG
        return place


def _methods(
    asked: _Asked, model: nn.Module, structure: Structure
) -> Iterator[tuple[str, bool, Callable[[int], NDArray[Any]]]]:
    from captum import attr

    def told(x: Any, axis: int = 0) -> NDArray[Any]:
        x = x[0] if isinstance(x, tuple) else x
        found: NDArray[Any] = x.detach().movedim(axis, 0)[0].float().cpu().numpy()
        return found

    x, steps = asked.input, _STEPS // 2 if asked.slow else _STEPS
    modules = dict(model.named_modules())
    if asked.tokens:
        tables = [m for p in structure.leaves() if isinstance(m := modules[p.path], nn.Embedding)]
        if tables:
            table = tables[0]
            by_size = attr.LayerGradientXActivation(asked, table)
            yield "Gradient × embedding", True, lambda t: told(by_size.attribute(x, target=t), asked.one.axis)

            def along_the_path(t: int) -> NDArray[Any]:
                if asked.one.axis:  # Captum counts the steps along the first axis of what a layer returns
                    raise ValueError("the examples of its sequences do not lie along the first axis")
                return told(
                    attr.LayerIntegratedGradients(asked, table).attribute(
                        x, baselines=torch.zeros_like(x), target=t, n_steps=steps, internal_batch_size=_AT_ONCE
                    )
                )

            yield "Integrated gradients", True, along_the_path
    else:
        yield "Saliency", False, lambda t: told(attr.Saliency(asked).attribute(_fresh(x), target=t, abs=True))
        yield ("Integrated gradients", True,
               lambda t: told(attr.IntegratedGradients(asked).attribute(
                   _fresh(x), target=t, n_steps=steps, internal_batch_size=_AT_ONCE)))  # fmt: skip
    window, stride = _window(tuple(x.shape[1:]), asked.tokens, _WINDOWS // 2 if asked.slow else _WINDOWS)
    yield ("Occlusion", True,
           lambda t: told(attr.Occlusion(asked).attribute(
               x, sliding_window_shapes=window, strides=stride, baselines=0, target=t,
               perturbations_per_eval=_AT_ONCE)))  # fmt: skip
    maps = [p for p in structure.leaves() if isinstance(modules[p.path], (nn.Conv1d, nn.Conv2d)) and p.shape]
    if maps and not asked.tokens and x.dim() == len(maps[-1].shape or ()):
        layer = modules[maps[-1].path]

        def grad_cam(t: int) -> NDArray[Any]:
            made = attr.LayerGradCam(asked, layer).attribute(_fresh(x), target=t, relu_attributions=True)
            return told(attr.LayerAttribution.interpolate(made, tuple(x.shape[2:])))

        yield "Grad-CAM", False, grad_cam


def _fresh(x: torch.Tensor) -> torch.Tensor:
    return x.detach().clone().requires_grad_()


def _window(shape: tuple[int, ...], tokens: bool, most: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A window over all channels of a picture or all features of a position, and how far it moves."""
    if len(shape) >= 3:
        channels, *sides = shape
        stride = [max(1, -(-s // most)) for s in sides]
        side = [min(s, 2 * n) for s, n in zip(sides, stride)]
        return (channels, *side), (channels, *stride)
    if len(shape) == 2 and not tokens:
        step = max(1, -(-shape[0] // (most * 4)))
        return (step, shape[1]), (step, shape[1])
    step = max(1, -(-shape[0] // (most * most))) if shape else 1
    return tuple(step if i == 0 else n for i, n in enumerate(shape)), tuple(
        step if i == 0 else n for i, n in enumerate(shape)
    )
