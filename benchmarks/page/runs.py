"""Runs made by number: as many layers and sampled steps as asked for, smooth or noisy."""

from __future__ import annotations

from typing import Any

import numpy as np

from flightcheck.recording.data_flow import DataFlow
from flightcheck.recording.distributions import QUANTILES, packed
from flightcheck.recording.records import Coverage, Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import (
    ACTIVATION_DEAD,
    ACTIVATION_RMS,
    ACTIVATION_SATURATED,
    GRAD_NORM,
    GRADIENT_SPREAD,
    LEARNING_RATE,
    LOSS,
    OUTPUT_SPREAD,
    UPDATE_NORM,
    WEIGHT_NORM,
    WEIGHT_SPREAD,
    Signal,
)
from flightcheck.testing import run_of

LOOKS, SPREAD_LAYERS = 24, 128
"""How often the spread of values is recorded, of how many layers at most."""
BLOCK = 10
"""Layers in a block."""


def made(layers: int, steps: int, noise: float) -> Run:
    """A training of a chain of layers, in blocks as real models are.

    Args:
        layers: each with one weight, and every number that the page has a heat map for.
        steps: all of them sampled.
        noise: standard deviation of the logarithm of every number; 0 is smooth, gradient norms have about 0.3.
    """
    random = np.random.default_rng(0)
    blocks = range(-(-layers // BLOCK))
    modules = [ModuleInfo(0, "Net", "Net", "container", 0, Location("train.py", 5), leaf=False, order=layers)]
    modules += [
        ModuleInfo(
            1 + layers + b, f"Net.{b}", "Block", "container", 0, Location("train.py", 9), leaf=False, order=layers
        )
        for b in blocks
    ]
    modules += [
        ModuleInfo(1 + i, f"Net.{i // BLOCK}.{i % BLOCK}", "Linear", "linear", 0, Location("train.py", 7), order=i)
        for i in range(layers)
    ]
    parameters = [
        ParameterInfo(i, f"{m.path}.weight", m.index, [64, 64], "matrix", optimizers=[0], numel=4096)
        for i, m in enumerate(modules[1 + len(blocks) :])
    ]
    return run_of(
        Coverage(modules=layers, modules_seen=layers, sampled_steps=steps, steps=steps),
        RootInfo(0, "Net", "Net", Location("train.py", 5)),
        OptimizerInfo(0, "Adam", groups=[{"lr": 1e-3}], parameters=list(range(layers)), steps=steps),
        DataFlow([[1 + i, 2 + i] for i in range(layers - 1)]),
        *modules, *parameters,
        series=_series(layers, steps, noise, random), id="made", command="train.py", steps=steps, ended="stopped",
    )  # fmt: skip


def _series(layers: int, steps: int, noise: float, random: np.random.Generator) -> dict[Signal, Any]:
    t, layer = np.linspace(0, 1, steps)[:, None], np.linspace(0, 1, layers)[None, :]

    def numbers(scale: float) -> Any:
        return scale * np.exp(-t - 2 * layer + noise * random.standard_normal((steps, layers)))

    def of_modules(values: Any) -> Any:
        return np.hstack([np.full((steps, 1), -1.0), values])

    def spread(first: int) -> Any:
        looked = range(first, first + min(layers, SPREAD_LAYERS))
        return [
            packed({i: np.sort(random.standard_normal(QUANTILES)).astype(np.float32) for i in looked})
            for _ in range(LOOKS)
        ]

    return {
        WEIGHT_SPREAD: spread(0),
        GRADIENT_SPREAD: spread(0),
        OUTPUT_SPREAD: spread(1),
        LOSS: 2 * np.exp(-3 * t[:, 0] + noise * random.standard_normal(steps) / 3),
        LEARNING_RATE: (1e-3 * np.cos(t * 1.5)).tolist(),
        GRAD_NORM: numbers(1.0),
        WEIGHT_NORM: numbers(8.0),
        UPDATE_NORM: numbers(8e-3),
        ACTIVATION_RMS: of_modules(numbers(1.0)),
        ACTIVATION_DEAD: of_modules(np.clip(numbers(0.5), 0, 1)),
        ACTIVATION_SATURATED: of_modules(np.clip(numbers(0.2), 0, 1)),
    }
