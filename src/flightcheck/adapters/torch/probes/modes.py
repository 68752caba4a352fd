"""The same training batches in train mode and in eval mode: is the loss the same, and if not, whose mode decides?"""

from __future__ import annotations

import copy
import dis
import inspect
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from flightcheck.adapters.torch.batches import first_tensor, tensors_in
from flightcheck.adapters.torch.kinds import reads_mode
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.adapters.torch.probes.scales import Thinnings, scale_in_training
from flightcheck.adapters.torch.probes.sources import as_written, file_of
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe

_BATCHES: Final = 8
"""The fewest with which a signed-rank test can give p < 0.01."""
_DRAWS: Final = 8
"""Of dropout, for each batch in train mode; fewer where a model is slow."""
_SECONDS: Final = 20.0
"""For the batches in train mode."""
_SHIFT_RUNS: Final = 4
"""Runs of all batches that it takes to ask what dropout does to statistics; models that are too slow are not asked."""
_ASKS: Final = 0.05
"""Share of the loss: a smaller gap is not traced to modules."""

Value = Callable[[Any], tuple[torch.Tensor, torch.Tensor | None]]
"""From what a model returned to the script's loss and the prediction in it."""


@dataclass(frozen=True)
class _Step:
    given: Arguments
    value: Value
    autocast: list[tuple[str, torch.dtype]]


@dataclass
class _Model:
    """The last training steps of one model."""

    module: nn.Module
    calls: int = 0
    steps: deque[_Step] = field(default_factory=lambda: deque(maxlen=_BATCHES))
    modes: list[bool] = field(default_factory=list)
    """Of its modules in training, in the order of ``modules()``: some may be frozen in eval mode."""

    @property
    def size(self) -> int:
        return sum(p.numel() for p in self.module.parameters())


@dataclass
class _Call:
    """A training call of a model whose loss is awaited."""

    module: nn.Module
    given: Arguments
    modes: list[bool]
    autocast: list[tuple[str, torch.dtype]]
    output: torch.Tensor


def install(b: Boundaries, patch: Patch) -> None:
    """Remember the last batches and their losses; run them again in both modes when the trial ends."""
    known: dict[int, _Model] = {}
    open_call: list[_Call] = []
    inside: list[str] = []  # loss functions called within a model

    def keep(call: _Call, value: Value) -> None:
        model = known.setdefault(id(call.module), _Model(call.module))
        model.calls += 1
        model.modes = call.modes
        model.steps.append(_Step(call.given, value, call.autocast))

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        inside.clear()
        given_copy = map_tensors(given, lambda t: t.detach().clone()) if module.training else given
        modes = [m.training for m in module.modules()]
        result = call(*given[0], **given[1])
        output = first_tensor(result)
        open_call.clear()
        if output is None or not (torch.is_grad_enabled() and module.training and output.requires_grad):
            return result
        if any(t.requires_grad for _, t in tensors_in(*given)):
            return result  # what another model made in train mode
        autocast = [(d, torch.get_autocast_dtype(d)) for d in ("cpu", "cuda") if torch.is_autocast_enabled(d)]
        made = _Call(module, given_copy, modes, autocast, output.detach())
        place = _loss_among_outputs(result) if inside else None
        if place is not None:
            keep(made, lambda again: (list(tensors_in((again,), {}))[place][1], None))
        else:
            open_call.append(made)
        return result

    def loss(call: Any, name: str, given: Arguments) -> Any:
        inside.append(name)
        if open_call and torch.is_grad_enabled():
            prediction, target, again = arguments_of(given)
            value = _value(call, prediction, target, again, open_call[0].output)
            if value is not None:
                keep(open_call.pop(), value)
        return call(*given[0], **given[1])

    def told() -> Probe | None:
        open_call.clear()
        full = [m for m in known.values() if len(m.steps) == _BATCHES]
        if not full:
            return None
        try:
            with b.unwatched(), torch.no_grad(), torch.random.fork_rng(devices=[]):
                found = _Both(max(full, key=lambda m: m.size)).compare(b.observer.lines)
        except Exception:  # a model that cannot be copied, or run again, or not in eval mode
            return None
        return Probe("modes", found) if found else None

    b.at_root(root)
    b.at_loss(loss)
    b.probes.append(told)
    b.acted(patch)


def _loss_among_outputs(result: Any) -> int | None:
    """Which of a model's outputs is a loss that it computed itself."""
    scalars = [i for i, (_, t) in enumerate(tensors_in((result,), {})) if t.dim() == 0 and t.requires_grad]
    return scalars[0] if len(scalars) == 1 else None


def _value(call: Any, prediction: Any, target: Any, again: Any, output: torch.Tensor) -> Value | None:
    """How to compute the loss from another output: where the prediction is a view of the output."""
    if not isinstance(prediction, torch.Tensor) or prediction.dtype != output.dtype:
        return None
    if prediction.untyped_storage().data_ptr() != output.untyped_storage().data_ptr():
        return None
    shape, strides, dtype = output.shape, output.stride(), output.dtype
    view = prediction.shape, prediction.stride(), prediction.storage_offset() - output.storage_offset()
    target = target.detach().clone() if isinstance(target, torch.Tensor) else target

    def value(result: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        new = first_tensor(result)
        if new is None or (new.shape, new.stride(), new.dtype) != (shape, strides, dtype):
            raise ValueError("the output of eval mode is another thing")
        predicted = torch.as_strided(new, view[0], view[1], view[2] + new.storage_offset())
        args, kwargs = again(predicted, target)
        return call(*args, **kwargs), predicted

    return value


class _Both:
    """A copy of a model that is run in both modes."""

    def __init__(self, last: _Model) -> None:
        self.model = copy.deepcopy(last.module)
        self.steps, self.calls = list(last.steps), last.calls
        self.modules = list(self.model.modules())
        self.modes = last.modes
        self.groups = _groups(self.model, last.modes)
        self.draws = _DRAWS

    def compare(self, lines: SourceLines) -> dict[str, Any]:
        """Losses in both modes, and which modules make the difference; empty if they cannot be compared."""
        with self._as(training=True):
            started = time.perf_counter()
            still = self._losses(self.steps[:1], 0) == self._losses(self.steps[:1], 1)
            seconds = (time.perf_counter() - started) / 2
        affordable = int(_SECONDS / (seconds * _BATCHES + 1e-9))
        self.draws = 1 if still else max(1, min(_DRAWS, affordable))
        training = self._mean_losses(training=True)
        evaluating = self._mean_losses(training=False)
        if self._other_kind_of_prediction():
            return {}
        told: dict[str, Any] = {
            "calls": self.calls,
            "train": training,
            "eval": evaluating,
            "examples": self._rows(),
        }
        if affordable >= _SHIFT_RUNS and {"dropout", "batchnorm"} <= self.groups.keys():
            told["shift"] = self._shift()
        gap = sum(evaluating) - sum(training)
        if not gap > _ASKS * abs(sum(training)):
            return told
        told["groups"] = [self._told(name, evaluating, gap, lines) for name in self.groups]
        if "batchnorm" in self.groups:
            told["recalibrated"] = self._recalibrated(evaluating, gap)
        return told

    def _told(self, name: str, evaluating: list[float], gap: float, lines: SourceLines) -> dict[str, Any]:
        modules = self.groups[name]
        alone = self._mean_losses(training=False, but=modules)
        paths = {m: path for path, m in self.model.named_modules()}
        told = {
            "name": name,
            "closes": (sum(evaluating) - sum(alone)) / gap,
            "path": paths[modules[0]],
            "own": name not in ("dropout", "batchnorm"),
        }
        if told["own"]:
            step = self.steps[-1]
            norms = self.groups.get("batchnorm", [])

            def run(training: bool, draw: int) -> None:
                with self._as(training=False, but=[*norms, *(modules if training else [])]):
                    self._losses([step], draw)

            told |= scale_in_training(self.model, run, _DRAWS)
            told |= self._place(type(modules[0]), run, lines)
        return told

    @staticmethod
    def _place(module_class: type[nn.Module], run: Callable[[bool, int], None], lines: SourceLines) -> dict[str, Any]:
        """The line that thins in train mode and not in eval mode, else that which asks for the mode."""
        seen = []
        for training in (False, True):
            with Thinnings(lines) as mode:
                run(training, 0)
            seen.append(mode.found)
        only = next((found for found in seen[1] if found not in seen[0]), None)
        if only is not None:
            return {"file": as_written(only.file), "line": only.line}
        file = file_of(module_class)
        return {"file": as_written(file), "line": _line_of_mode(module_class)} if lines.is_user(file) else {}

    def _recalibrated(self, evaluating: list[float], gap: float) -> float:
        """The share of the gap that statistics of these very batches, with these weights, would close."""
        with self._with_statistics(dropping=True):
            again = self._mean_losses(training=False)
        return (sum(evaluating) - sum(again)) / gap

    def _shift(self) -> dict[str, Any]:
        """What dropout does to the statistics alone: eval mode with statistics of these batches with it, and without.

        Weights, batches and mode are the same, and neither statistics are stale.
        """
        paths = {m: path for path, m in self.model.named_modules()}
        norms = [m for m in self.groups["batchnorm"] if isinstance(m, _BatchNorm) and m.running_var is not None]
        losses: list[list[float]] = []
        variances: list[list[torch.Tensor]] = []
        for dropping in (True, False):
            with self._with_statistics(dropping):
                variances.append([m.running_var.double().clone() for m in norms])  # type: ignore[union-attr]
                losses.append(self._mean_losses(training=False))
        ratios = [float((off / on.clamp_min(1e-12)).median()) for on, off in zip(*variances, strict=True)]
        told = [{"path": paths[m], "ratio": r} for m, r in zip(norms, ratios, strict=True)]
        return {"with": losses[0], "without": losses[1], "norms": told}

    @contextmanager
    def _with_statistics(self, dropping: bool) -> Iterator[None]:
        """Statistics of these very batches, with these weights; with dropout on or off."""
        before = [b.clone() for b in self.model.buffers()]
        norms = [m for m in self.groups["batchnorm"] if isinstance(m, _BatchNorm)]
        momenta = [m.momentum for m in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
        with self._as(training=dropping, but=list(norms), keeping=False):
            self._losses(self.steps, 0)
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
            for buffer, old in zip(self.model.buffers(), before, strict=True):
                buffer.copy_(old)

    def _mean_losses(self, training: bool, but: list[nn.Module] | None = None) -> list[float]:
        draws = self.draws if training or but else 1
        with self._as(training, but):
            several = [self._losses(self.steps, draw) for draw in range(draws)]
        return [sum(losses) / draws for losses in zip(*several, strict=True)]

    def _losses(self, steps: list[_Step], draw: int) -> list[float]:
        """Of each batch; the same draw has the same random numbers."""
        losses = []
        for i, step in enumerate(steps):
            loss, _ = self._run(step, 1000 * draw + i)
            losses.append(float(loss.float().mean()))
        return losses

    def _run(self, step: _Step, seed: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        torch.manual_seed(seed)
        with ExitStack() as stack:
            for device, dtype in step.autocast:
                stack.enter_context(torch.autocast(device, dtype=dtype))
            return step.value(self.model(*step.given[0], **step.given[1]))

    @contextmanager
    def _as(self, training: bool, but: list[nn.Module] | None = None, keeping: bool = True) -> Iterator[None]:
        """The model in one mode, some modules in train mode all the same; buffers are afterwards what they were."""
        before = [b.clone() for b in self.model.buffers()] if keeping else []
        self.model.eval()
        for module, mode in zip(self.modules, self.modes, strict=True):
            module.training = mode and (training or any(module is m for m in but or ()))
        try:
            yield
        finally:
            for buffer, old in zip(self.model.buffers(), before, strict=False):
                buffer.copy_(old)

    def _other_kind_of_prediction(self) -> bool:
        """In eval mode the model returns probabilities and in training it does not: no fault, another output."""
        predictions = []
        for training in (True, False):
            with self._as(training):
                predictions.append(self._run(self.steps[-1], 0)[1])
        one, other = predictions
        if one is None or other is None:
            return False
        return _in_unit_interval(other) and not _in_unit_interval(one)

    def _rows(self) -> int:
        first = [next((t for _, t in tensors_in(*s.given)), None) for s in self.steps]
        return sum(len(t) for t in first if t is not None and t.dim())


def _in_unit_interval(x: torch.Tensor) -> bool:
    return bool((x >= 0).all() and (x <= 1).all())


def _groups(model: nn.Module, modes: list[bool]) -> dict[str, list[nn.Module]]:
    """Modules that compute another thing in eval mode, by kind; the script's own by class."""
    groups: dict[str, list[nn.Module]] = {}
    for module, mode in zip(model.modules(), modes, strict=True):
        if not mode:
            continue
        if reads_mode(type(module)):
            groups.setdefault(type(module).__name__, []).append(module)
        elif isinstance(module, _BatchNorm) and module.track_running_stats:
            groups.setdefault("batchnorm", []).append(module)
        elif isinstance(module, _DropoutNd) or getattr(module, "dropout", None):
            groups.setdefault("dropout", []).append(module)
    return groups


def _line_of_mode(module_class: type[nn.Module]) -> int:
    """The line of ``forward`` that asks for the mode."""
    forward = inspect.unwrap(module_class.forward)
    line = int(forward.__code__.co_firstlineno)
    for instruction in dis.get_instructions(forward):
        at = instruction.positions.lineno if instruction.positions else None
        if instruction.argval == "training" and instruction.opname.startswith("LOAD_ATTR"):
            return at or line
    return line
