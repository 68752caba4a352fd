"""Statistics of the outputs of leaf modules, taken for one round at a time and reduced to a few numbers at once.

No forward hooks: a hook lies on the user's module, travels with its copies, and cannot be pickled.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.batchnorms import BatchNorms
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.forward import Forward, first_tensor
from flightcheck.adapters.torch.kinds import ONE_SIDED, SATURATING
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.signals import (
    ACTIVATION_DEAD,
    ACTIVATION_GRAD,
    ACTIVATION_RMS,
    ACTIVATION_SATURATED,
    ACTIVATION_SPREAD,
    NOT_THERE,
    Signal,
)

_ROWS: Final = 64
_UNITS: Final = 4096
_ENOUGH: Final = 1000
"""Examples in which a unit must stay silent to be called dead: bounds its firing probability by 3/1000 (rule of
three, 95 %)."""
_FIRST_LOOK: Final = 16
"""Examples that the first look at a layer needs."""
_SIGNALS: Final = (ACTIVATION_RMS, ACTIVATION_SPREAD, ACTIVATION_DEAD, ACTIVATION_GRAD, ACTIVATION_SATURATED)


class Activations:
    """Statistics of module outputs on sampled rounds."""

    def __init__(self, watch: Watch, discovery: Discovery, forward: Forward, batchnorms: BatchNorms) -> None:
        self.watch = watch
        self.discovery = discovery
        self.forward = forward
        self.batchnorms = batchnorms
        self.seen: set[int] = set()
        self._leaves: set[int] = set()
        self._told = watch.guarded(self._look)
        self._values: dict[Signal, dict[int, Any]] = {s: {} for s in _SIGNALS}
        self._last_fired: dict[int, torch.Tensor] = {}
        self._examples: dict[int, int] = {}
        self.armed_rounds = 0

    def arm(self) -> None:
        """Look at every leaf of every known root in the coming round."""
        if self.forward.look_at is not None:
            return
        self.armed_rounds += 1
        self._leaves = {index for root in self.discovery.roots.values() if root.trainable for index, _ in root.leaves}
        self.forward.look_at = self._told

    def disarm(self) -> None:
        """Look no more, and write the round's numbers."""
        if self.forward.look_at is None:
            return
        self.forward.look_at = None
        width = len(self.discovery.modules)
        for signal, values in self._values.items():
            if values:
                row = [NOT_THERE] * width
                for index, value in values.items():
                    number = float(value)
                    row[index] = number
                self.watch.writer.frame(signal, self.watch.step, row)
                values.clear()

    def _look(self, module: nn.Module, output: Any) -> None:
        index = self.discovery.module_index(module)
        if index is None or index not in self._leaves or not torch.is_grad_enabled() or hands_off():
            return
        tensor = first_tensor(output)
        if tensor is None or not tensor.requires_grad or not is_plain_tensor(tensor):
            return
        if not tensor.numel() or not tensor.is_floating_point():
            return
        self.seen.add(index)
        self.batchnorms.normalized(index, module, tensor)
        if index in self._values[ACTIVATION_RMS]:
            return  # used several times: the first use counts
        with torch.no_grad():
            x = tensor.detach()
            self._scale(index, x)
            self._units(index, module, x)
        values = self._values[ACTIVATION_GRAD]
        note = self.watch.guarded(lambda g: values.__setitem__(index, _rms(g)))

        def gradient(g: torch.Tensor) -> None:
            note(g)

        tensor.register_hook(gradient)  # type: ignore[no-untyped-call]

    def _scale(self, index: int, x: torch.Tensor) -> None:
        self._values[ACTIVATION_RMS][index] = _rms(x)
        if x.dim() > 1 and x.shape[0] > 1:
            rows = x[:_ROWS].flatten(1)
            if rows.shape[1] > _UNITS:
                rows = rows[:, :: rows.shape[1] // _UNITS + 1]
            self._values[ACTIVATION_SPREAD][index] = rows.float().std(0).mean()

    def _units(self, index: int, module: nn.Module, x: torch.Tensor) -> None:
        info = self.discovery.modules[index]
        activation = info.type if info.kind == "activation" else str(info.settings.get("activation", ""))
        if activation in ONE_SIDED and x.dim() > 1:
            self._fired(index, x)
        elif activation in SATURATING and activation in ("Sigmoid", "Tanh"):
            y = x if info.kind == "activation" else getattr(torch, activation.lower())(x)
            derivative = y * (1 - y) * 4 if activation == "Sigmoid" else 1 - y * y
            self._values[ACTIVATION_SATURATED][index] = (derivative < 0.01).float().mean()

    def _fired(self, index: int, x: torch.Tensor) -> None:
        dim = 1 if x.dim() in (2, 4, 5) or self._is_channel_first(x) else x.dim() - 1
        units = x.transpose(0, dim).reshape(x.shape[dim], -1)
        fired = (units > 0).any(1)
        before = self._examples.get(index, 0)
        now = before + units.shape[1]
        self._examples[index] = now
        last = self._last_fired.get(index)
        if last is None or last.shape != fired.shape:
            last = torch.full(fired.shape, before, dtype=torch.int64, device=fired.device)
        last = torch.where(fired, torch.full_like(last, now), last)
        self._last_fired[index] = last
        if before == 0 and now >= _FIRST_LOOK:
            self._values[ACTIVATION_DEAD][index] = (~fired).float().mean()
        elif now >= _ENOUGH:
            self._values[ACTIVATION_DEAD][index] = ((now - last) >= _ENOUGH).float().mean()

    def _is_channel_first(self, x: torch.Tensor) -> bool:
        return x.dim() == 3 and any(m.type == "Conv1d" for m in self.discovery.modules.values())


def _rms(x: torch.Tensor) -> float:
    values = x.detach()
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    norm: float = float(torch.linalg.vector_norm(values))
    return norm / math.sqrt(max(1, values.numel()))
