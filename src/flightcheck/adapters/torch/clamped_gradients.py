"""Gradients that were clamped element by element, by whatever means: many elements then lie at the same limit."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

import torch

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.clamped_gradients import ClampedGradients
from flightcheck.recording.records import Location

OPERATIONS: Final = {"clamp", "clamp_", "clip", "clip_", "hardtanh_"}
_SAMPLE: Final = 4096
"""Elements of a parameter that are looked at."""
_MOST_PARAMETERS: Final = 64
_EVERY: Final = 2
"""Steps between two looks, where steps are measured."""
_MOST_LOOKS: Final = 32
_NEAR: Final = 1 - 1e-6


class ClampedLooks:
    """Looks at gradients right before a step, now and then."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._lines: dict[int, Location] = {}
        """Address of what a clamp was given, or made, in this round → its line."""
        self._known: dict[int, ClampedGradients] = {}

    def look(self, args: Any, result: Any) -> None:
        """One of `OPERATIONS`, outside of a model."""
        line = self.watch.lines.here()
        if line is not None:
            for tensor in (*args[:1], result):
                if is_plain_tensor(tensor) and tensor.layout is torch.strided:
                    self._lines[tensor.data_ptr()] = line

    def before_step(self, held: Held) -> None:
        """An optimizer is about to step."""
        optimizer = held.optimizer()
        if optimizer is None or not (self.watch.learning or self.watch.sampled) or held.steps % _EVERY:
            return
        known = self._known.get(held.info.index) or ClampedGradients(held.info.index)
        if len(known.shares) >= _MOST_LOOKS:
            return
        held_here = [p for g in optimizer.param_groups for p in g["params"]][:_MOST_PARAMETERS]
        gradients = [p.grad for p in held_here if is_plain_tensor(p.grad) and p.grad.is_cpu and p.grad.numel()]
        if not gradients or any(g.layout is not torch.strided for g in gradients):
            return
        with torch.no_grad():
            parts = [g.detach().reshape(-1)[:_SAMPLE].abs().float() for g in gradients]
            values = torch.cat([p[p > 0] for p in parts])
            limit = float(values.max()) if values.numel() else 0.0
            limit = limit if math.isfinite(limit) else 0.0
            share = float((values >= limit * _NEAR).float().mean()) if limit else 0.0
        line = next((at for g in gradients if (at := self._lines.get(g.data_ptr())) is not None), known.location)
        self._known[held.info.index] = dataclasses.replace(
            known,
            location=line,
            limit=limit,
            shares=[*known.shares, round(share, 4)],
            steps=[*known.steps, self.watch.step],
        )

    def end_round(self) -> None:
        """Forget the addresses of this round."""
        self._lines.clear()

    def save(self) -> None:
        """Write what was seen."""
        for index, record in self._known.items():
            self.watch.writer.put(record, index)
