"""The script's own numbers: what it logs, prints, or sends to a tracker."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import math
import numbers
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import torch

from flightcheck.adapters.torch.output import Output
from flightcheck.adapters.torch.patches import Patches
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.metrics import MetricInfo, flattened, leave, metrics_in, receive
from flightcheck.recording.signals import Signal

_MOST_METRICS: Final = 200
_LONGEST_LINE: Final = 400
_SHARE: Final = 0.005
"""Of the time since the start that reading printed lines may take, beyond the first 50 ms (about 1500 lines)."""
_FREE_SECONDS: Final = 0.05
_LAST_LINES: Final = 20
"""Lines that were passed over for want of time and are read at the end: final results stand there."""
_WARNING: Final = re.compile(r".+:\d+: [A-Za-z.]*Warning: ")
_LARGEST: Final = 3.0e38
"""Beyond it a number has no place in 32 bits."""


class Logged:
    """Series of the script's own numbers, by source and name."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.output = Output(watch)
        self._found: dict[tuple[str, str], MetricInfo] = {}
        self._signals: dict[tuple[str, str], Signal] = {}
        self._started = time.perf_counter()
        self._reading = 0.0
        self._passed_over: deque[tuple[int, str]] = deque(maxlen=_LAST_LINES)
        self._rests: dict[str, str] = {}
        self._warned: dict[str, bool] = {}
        """Streams whose last line was a warning."""
        self._finder: Finder | None = None
        self._receiver: Callable[[Mapping[str, Any], int | None], None] = watch.guarded(self._logged)

    def install(self, patches: Patches) -> None:
        """Read along on both streams, at the writers of trackers, and at `flightcheck.log`."""
        receive(self._receiver)
        for name in ("stdout", "stderr") if sys.stderr is not sys.stdout else ("stdout",):
            self._read_along(patches, name)
        places = {module: self._wrapping(patches, wrap) for module, wrap in _TRACKERS.items()}
        for module, wrap in places.items():
            if module in sys.modules:
                wrap(sys.modules[module])
        self._finder = Finder(places)
        sys.meta_path.insert(0, self._finder)

    def close(self) -> None:
        """Receive nothing more; what was patched comes out with the rest."""
        leave(self._receiver)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)

    def add(self, source: str, values: Mapping[str, Any], step: Any = None) -> None:
        """Keep the numbers among some values."""
        own = isinstance(step, numbers.Integral) and not isinstance(step, bool)
        place = int(step) if own else self.watch.step
        for name, value in flattened(values):
            number = _number(value)
            if number is not None:
                self._keep(source, name, number, place, own)

    def _keep(self, source: str, name: str, value: float, step: int, own: bool) -> None:
        key = (source, name)
        known = self._found.get(key)
        if known is None:
            if len(self._found) >= _MOST_METRICS:
                return
            known = MetricInfo(len(self._found), name, source, 0, step, step, own, value, value, value)
            self._signals[key] = Signal(known.signal, "step", "", "a number of the script's own")
        self._found[key] = replace(
            known, count=known.count + 1, last_step=step, last=value, own_steps=own,
            minimum=value if math.isnan(known.minimum) else min(known.minimum, value),
            maximum=value if math.isnan(known.maximum) else max(known.maximum, value),
        )  # fmt: skip
        packed = value if abs(value) < _LARGEST or not math.isfinite(value) else math.copysign(math.inf, value)
        self.watch.writer.frame(self._signals[key], step, [packed])

    def _logged(self, values: Mapping[str, Any], step: int | None) -> None:
        self.add("log", values, step)

    def save(self, final: bool = False) -> None:
        """Write the records."""
        while final and self._passed_over:
            step, line = self._passed_over.popleft()
            self._read(line, step)
        for info in self._found.values():
            self.watch.writer.put(info, info.index)
        self.watch.guarded(self.output.save)(final)

    # -- printed ----------------------------------------------------------------------------------------------------

    def _read_along(self, patches: Patches, name: str) -> None:
        """The stream stays the object that it is; only its ``write`` is another one, which calls the first."""
        stream = getattr(sys, name)
        told = self.watch.guarded(self._written)

        def make(original: Any) -> Any:
            def write(*args: Any) -> Any:
                written = original(*args)
                (told if self.watch.mine() else self.output.written)(name, args[0] if args else "")
                return written

            return write

        try:
            patches.replace(stream, "write", make)
        except (AttributeError, TypeError):  # closed, or a stream without attributes of its own
            return

    def _written(self, stream: str, text: Any) -> None:
        if not isinstance(text, str):
            return
        self.output.written(stream, text)
        whole = self._rests.get(stream, "") + text
        if "\n" not in text and "\r" not in text:
            self._rests[stream] = whole[-_LONGEST_LINE:]
            return
        *lines, rest = whole.replace("\r", "\n").split("\n")
        self._rests[stream] = rest[-_LONGEST_LINE:]
        for line in lines:
            if not line or self._is_warning(stream, line) or len(line) > _LONGEST_LINE:
                continue
            now = time.perf_counter()
            if self._reading > _FREE_SECONDS + _SHARE * (now - self._started):
                self._passed_over.append((self.watch.step, line))
                continue
            self._read(line, self.watch.step)
            self._reading += time.perf_counter() - now

    def _is_warning(self, stream: str, line: str) -> bool:
        """It is a warning of Python's, or the line of code that stands below one: numbers in it measure nothing."""
        below = self._warned.pop(stream, False) and line.startswith("  ")
        if _WARNING.match(line):
            self._warned[stream] = True
            return True
        return below

    def _read(self, line: str, step: int) -> None:
        for name, value in metrics_in(line):
            self._keep("printed", name, value, step, own=False)

    # -- trackers ---------------------------------------------------------------------------------------------------

    def _wrapping(self, patches: Patches, wrap: Callable[..., None]) -> Callable[[ModuleType], None]:
        def apply(module: ModuleType) -> None:
            try:
                wrap(module, patches, self.watch.guarded(self.add))
            except Exception as e:  # another version of the tracker: its numbers are not seen
                self.watch.note_error(f"tracker {module.__name__}", e)

        return apply


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value.detach()) if value.numel() == 1 and not value.is_complex() else None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return float(value) if type(value).__module__ == "numpy" and getattr(value, "size", 0) == 1 else None
    return float(value)


class Finder(importlib.abc.MetaPathFinder):
    """Lets others find a module, and wraps what is in it as soon as it was executed."""

    def __init__(self, places: dict[str, Callable[[ModuleType], None]]) -> None:
        self._places = places

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """None for all modules but those that are wrapped."""
        if name not in self._places:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is None:
                continue
            if spec.loader is not None:
                _follow(spec.loader, self._places[name])
            return spec
        return None


def _follow(loader: Any, wrap: Callable[[ModuleType], None]) -> None:
    """Call `wrap` with the module that the loader has executed."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        wrap(module)

    loader.exec_module = exec_module


def _after(patches: Patches, owner: Any, name: str, tell: Callable[..., None]) -> None:
    """Call `tell` with the arguments of each call of a method, when that is over."""

    def make(original: Any) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            tell(*args, **kwargs)
            return result

        method.__wrapped__ = original  # type: ignore[attr-defined]
        method.__name__, method.__doc__ = name, original.__doc__
        return method

    if hasattr(owner, name):
        patches.replace(owner, name, make)


def _quiet(tell: Callable[..., None]) -> Callable[..., None]:
    """Arguments that we do not know are none of ours: the tracker has judged them."""

    def told(*args: Any, **kwargs: Any) -> None:
        try:
            tell(*args, **kwargs)
        except Exception:
            return

    return told


def _tensorboard(module: ModuleType, patches: Patches, add: Any) -> None:
    def scalar(tag: str, scalar_value: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        add("tensorboard", {tag: scalar_value}, global_step)

    def scalars(main_tag: str, tag_scalar_dict: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        add("tensorboard", {f"{main_tag}/{k}": v for k, v in tag_scalar_dict.items()}, global_step)

    _after(patches, module.SummaryWriter, "add_scalar", _quiet(scalar))
    _after(patches, module.SummaryWriter, "add_scalars", _quiet(scalars))


def _wandb(module: ModuleType, patches: Patches, add: Any) -> None:
    def log(data: Any, step: Any = None, *_: Any, **__: Any) -> None:
        add("wandb", data, step)

    _after(patches, module.Run, "log", _quiet(log))


def _mlflow(module: ModuleType, patches: Patches, add: Any) -> None:
    def metric(run_id: str, key: str, value: Any, timestamp: Any = None, step: Any = None, *_: Any, **__: Any) -> None:
        add("mlflow", {key: value}, step)

    def batch(run_id: str, metrics: Any = (), *_: Any, **__: Any) -> None:
        for m in metrics:
            add("mlflow", {m.key: m.value}, m.step)

    _after(patches, module.MlflowClient, "log_metric", _quiet(metric))
    _after(patches, module.MlflowClient, "log_batch", _quiet(batch))


_TRACKERS: Final[dict[str, Callable[..., None]]] = {
    "torch.utils.tensorboard.writer": _tensorboard,
    "tensorboardX.writer": _tensorboard,
    "wandb.sdk.wandb_run": _wandb,
    "mlflow.tracking.client": _mlflow,
}
"""Modules that define the writers, and how these are wrapped."""
