"""Statistics of the outputs of leaf modules, taken for one round at a time and reduced to a few numbers at once.

No forward hooks: a hook lies on the user's module, travels with its copies, and cannot be pickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from flightcheck.adapters.torch.arrivals import Arrivals, lies_on_card
from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.batchnorms import BatchNorms
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.distributions import Distributions
from flightcheck.adapters.torch.forward import Forward
from flightcheck.adapters.torch.kinds import ONE_SIDED, SATURATING
from flightcheck.adapters.torch.native.library import load
from flightcheck.adapters.torch.native.outputs import Outputs
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor, recorded
from flightcheck.recording.signals import (
    ACTIVATION_DEAD,
    ACTIVATION_GRAD,
    ACTIVATION_RMS,
    ACTIVATION_SATURATED,
    ACTIVATION_SPREAD,
    NOT_THERE,
    OUTPUT_SPREAD,
    Signal,
)

_ENOUGH: Final = 1000
"""Examples in which a unit must stay silent to be called dead: bounds its firing probability by 3/1000 (rule of
three, 95 %)."""
_FIRST_LOOK: Final = 16
"""Examples that the first look at a layer needs."""
_WIDE: Final = 4096
"""Elements of an example that are read between full measurements."""
_SIGNALS: Final = (ACTIVATION_RMS, ACTIVATION_SPREAD, ACTIVATION_DEAD, ACTIVATION_GRAD, ACTIVATION_SATURATED)


@dataclass
class _Round:
    """Numbers of a round that is over, some of which may still be on their way."""

    step: int
    values: dict[Signal, dict[int, Any]]
    waiting: int
    """Cards from which nothing has come yet."""


class Activations:
    """Statistics of module outputs on sampled rounds."""

    def __init__(
        self, watch: Watch, discovery: Discovery, forward: Forward, batchnorms: BatchNorms, arrivals: Arrivals
    ) -> None:
        self.watch = watch
        self.discovery = discovery
        self.forward = forward
        self.batchnorms = batchnorms
        self.seen: set[int] = set()
        self._leaves: set[int] = set()
        self._told = watch.guarded(self._look)
        self.arrivals = arrivals
        self._values: dict[Signal, dict[int, Any]] = {s: {} for s in _SIGNALS}
        self._on_card: list[tuple[int, torch.Tensor, int]] = []
        """Of this round: layers whose units' firing lies on a graphics card, and of how many examples."""
        self._last_fired: dict[int, npt.NDArray[np.int64]] = {}
        self._examples: dict[int, int] = {}
        self.armed_rounds = 0
        self._channels_first = False
        """The model convolves sequences: of three dimensions, the second one is that of the channels."""
        self.outputs = Outputs(load()[0])
        self.spreads = Distributions(watch)

    def arm(self) -> None:
        """Look at every leaf of every known root in the coming round."""
        if self.forward.look_at is not None:
            return
        self.armed_rounds += 1
        self._leaves = {index for root in self.discovery.roots.values() if root.trainable for index, _ in root.leaves}
        self._channels_first = "Conv1d" in {m.type for m in self.discovery.modules.values()}
        self.forward.look_at = self._told

    def disarm(self) -> None:
        """Look no more, and write the round's numbers."""
        if self.forward.look_at is None:
            return
        self.forward.look_at = None
        # A gradient that comes when the round is over still writes into what it knew.
        values, self._values = {s: dict(v) for s, v in self._values.items()}, {s: {} for s in _SIGNALS}
        fired, self._on_card = self._on_card, []
        late = [(s, i, v) for s, of in values.items() for i, v in of.items() if isinstance(v, torch.Tensor)]
        devices = {v.device for _, _, v in late if lies_on_card(v)} | {f.device for _, f, _ in fired}
        over = _Round(self.watch.step, values, len(devices))
        for device in devices:
            here = [x for x in late if x[2].device == device], [x for x in fired if x[1].device == device]
            self._send(over, *here)
        if not devices:
            self._write(over.step, values)
        self.spreads.write()

    def _send(
        self, over: _Round, late: list[tuple[Signal, int, torch.Tensor]], fired: list[tuple[int, torch.Tensor, int]]
    ) -> None:
        """Bring a round's numbers from one card, in one copy: each would make the card wait."""
        scalars = [torch.stack([v.detach().float().reshape(()) for _, _, v in late])] if late else []
        packed = torch.cat([*scalars, *(f.float() for _, f, _ in fired)])
        places = [(signal, index) for signal, index, _ in late]
        take = partial(self._arrived, over, places, [(i, len(f), n) for i, f, n in fired])
        if self.watch.may_wait:
            take(packed.cpu().numpy())
        else:
            self.arrivals.send(packed, take)

    def _arrived(
        self, over: _Round, places: list[tuple[Signal, int]], fired: list[tuple[int, int, int]],
        numbers: npt.NDArray[np.float32],
    ) -> None:  # fmt: skip
        """The numbers of a round are there: those at `places`, then what fired, unit by unit."""
        for (signal, index), number in zip(places, numbers.tolist()):
            over.values[signal][index] = number
        start = len(places)
        for index, units, examples in fired:
            dead = self._fired(index, numbers[start : start + units] > 0, examples)
            start += units
            if dead is not None:
                over.values[ACTIVATION_DEAD][index] = dead
        over.waiting -= 1
        if not over.waiting:  # of several cards, the last one
            self._write(over.step, over.values)

    def _write(self, step: int, values: dict[Signal, dict[int, Any]]) -> None:
        width = len(self.discovery.modules)
        for signal, of_signal in values.items():
            if of_signal:
                row = [NOT_THERE] * width
                for index, value in of_signal.items():
                    row[index] = float(value)
                self.watch.writer.frame(signal, step, row)

    def _look(self, module: nn.Module, output: Any) -> None:
        if not self.forward.depth:
            self.batchnorms.uses.pass_over()
        index = self.discovery.module_index(module)
        repeated = self.watch.checkpointed  # without a graph here; in the repetition hands are off
        if index is None or index not in self._leaves or not (torch.is_grad_enabled() or repeated):
            return
        if hands_off() or recorded():
            return
        tensor = first_tensor(output)
        if tensor is None or not (tensor.requires_grad or repeated) or not is_plain_tensor(tensor):
            return
        if not tensor.numel() or not tensor.is_floating_point():
            return
        self.seen.add(index)
        self.batchnorms.normalized(index, module, tensor)
        if index in self._values[ACTIVATION_RMS]:
            return  # used several times: the first use counts
        with torch.no_grad():
            self._measure(index, module, self._rows(tensor.detach()))
            if self.spreads.due():
                self.spreads.look(OUTPUT_SPREAD, [(index, tensor)])
        if repeated:
            return
        values = self._values[ACTIVATION_GRAD]  # this round's: a gradient that comes later is not written
        note = self.watch.guarded(lambda g: values.__setitem__(index, self.outputs.rms(self._rows(g.detach()))))

        def gradient(g: torch.Tensor) -> None:
            note(g)

        tensor.register_hook(gradient)  # type: ignore[no-untyped-call]

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        """All of it in rounds that are sampled. Between them, of a few examples, positions that lie evenly apart (the
        tokens of a text, the rows of an image): others each time.
        """
        few = self.watch.rows
        if self.watch.sampled or x.dim() < 2:
            return x
        if x.shape[0] > few:
            start = self.armed_rounds * few % x.shape[0]
            x = x[min(start, x.shape[0] - few) :][:few]
        apart = x.numel() // (len(x) * _WIDE) if len(x) else 0
        if apart < 2 or x.dim() < 3:
            return x
        along = 2 if x.dim() > 3 or self._channels_first else 1  # beside the dimension of the units
        apart = min(apart, x.shape[along])
        positions = slice(self.armed_rounds % apart, None, apart)
        return (x[:, :, positions] if along == 2 else x[:, positions]).contiguous()

    def _measure(self, index: int, module: nn.Module, x: torch.Tensor) -> None:
        info = self.discovery.modules[index]
        activation = info.type if info.kind == "activation" else str(info.settings.get("activation", ""))
        dim = -1
        if activation in ONE_SIDED and x.dim() > 1:
            dim = 1 if x.dim() in (2, 4, 5) or (x.dim() == 3 and self._channels_first) else x.dim() - 1
        seen = self.outputs.look(x, units=dim)
        self._values[ACTIVATION_RMS][index] = seen.rms
        if seen.spread is not None:
            self._values[ACTIVATION_SPREAD][index] = seen.spread
        if isinstance(seen.fired, torch.Tensor):
            self._on_card.append((index, seen.fired, x.numel() // x.shape[dim]))
        elif seen.fired is not None:
            dead = self._fired(index, seen.fired, x.numel() // x.shape[dim])
            if dead is not None:
                self._values[ACTIVATION_DEAD][index] = dead
        elif activation in SATURATING and activation in ("Sigmoid", "Tanh"):
            y = x if info.kind == "activation" else getattr(torch, activation.lower())(x)
            derivative = y * (1 - y) * 4 if activation == "Sigmoid" else 1 - y * y
            self._values[ACTIVATION_SATURATED][index] = (derivative < 0.01).float().mean()

    def _fired(self, index: int, fired: npt.NDArray[np.bool_], examples: int) -> float | None:
        """The share of a layer's units that are silent, as far as enough examples were seen to say it."""
        before = self._examples.get(index, 0)
        now = before + examples
        self._examples[index] = now
        last = self._last_fired.get(index)
        if last is None or last.shape != fired.shape:
            last = np.full(fired.shape, before, dtype=np.int64)
        last = np.where(fired, now, last)
        self._last_fired[index] = last
        if before == 0 and now >= _FIRST_LOOK:
            return float((~fired).mean())
        return float((now - last >= _ENOUGH).mean()) if now >= _ENOUGH else None
