"""What makes and changes gradients: backward, clipping, loss scaling."""

from __future__ import annotations

import functools
from threading import get_ident
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.shards import is_shard

if TYPE_CHECKING:
    from torch.amp.grad_scaler import GradScaler

    from flightcheck.adapters.torch.observer import TorchObserver


def backward(o: TorchObserver) -> None:
    """``backward`` and ``torch.autograd.grad``."""
    before, after = o.watch.guarded(o.before_backward), o.watch.guarded(o.after_backward)
    differentiated = o.watch.guarded(o.differentiated)
    watch, rested = o.watch, o.rested
    depth = 0

    def backward(original: Any) -> Any:
        @functools.wraps(original)
        def run_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            if depth or torch.compiler.is_compiling() or not watch.on or get_ident() != watch.thread:
                if not torch.compiler.is_compiling():
                    o.watch.note_thread()
                return original(tensors, *args, **kwargs)
            rests = watch.resting and rested.backward(tensors)
            seen = None if rests else before(tensors)
            depth += 1
            try:
                result = original(tensors, *args, **kwargs)
            finally:
                depth -= 1
            if seen is not None:
                after(*seen)
            if not rests:
                o.stop_if_enough(before_step=True)
            return result

        return run_backward

    def grad(original: Any) -> Any:
        @functools.wraps(original)
        def run_grad(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not depth and not torch.compiler.is_compiling():
                differentiated(args[1] if len(args) > 1 else kwargs.get("inputs", ()))
            return result

        return run_grad

    o.patches.replace(torch.autograd, "backward", backward)
    o.patches.replace(torch.autograd, "grad", grad)


def clipping(o: TorchObserver) -> None:
    """Clipping of gradients."""

    def by_norm(parameters: Any, max_norm: Any, result: Any) -> None:
        known = isinstance(result, torch.Tensor) and (result.is_cpu or o.watch.sampled) and not is_shard(result)
        norm = float(result) if known else None
        o.protocol.clipped(parameters, norm, float(max_norm), o.lines.here())

    def by_value(parameters: Any, limit: Any, result: Any) -> None:
        o.protocol.clipped(parameters, None, float(limit), o.lines.here())

    def wrap(tell: Any) -> Any:
        told = o.watch.guarded(tell)

        def make(original: Any) -> Any:
            @functools.wraps(original)
            def clip(parameters: Any, limit: Any, *args: Any, **kwargs: Any) -> Any:
                if not isinstance(parameters, torch.Tensor):
                    parameters = list(parameters)
                result = original(parameters, limit, *args, **kwargs)
                if not o.watch.resting:
                    told(parameters, limit, result)
                return result

            return clip

        return make

    for owner in (nn.utils, nn.utils.clip_grad):
        o.patches.replace(owner, "clip_grad_norm_", _keywords(wrap(by_norm), "max_norm"))
        o.patches.replace(owner, "clip_grad_value_", _keywords(wrap(by_value), "clip_value"))


def _keywords(make: Any, limit: str) -> Any:
    """The same wrapper for a call that names its arguments."""

    def build(original: Any) -> Any:
        wrapped = make(original)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = list(args)
            for name in ("parameters", limit)[len(given) :]:
                if name not in kwargs:
                    return original(*args, **kwargs)
                given.append(kwargs.pop(name))
            return wrapped(*given, **kwargs)

        return call

    return build


def scaler(o: TorchObserver) -> None:
    """Loss scaling of automatic mixed precision."""
    from torch.amp.grad_scaler import GradScaler

    def note(scaler: GradScaler, outputs: Any) -> None:
        if scaler.is_enabled():
            o.protocol.scaled(_scale_of(scaler))
            o.resources.scaled(outputs)
            o.checkpoints.resumptions.scales(scaler)

    told_scale = o.watch.guarded(note)
    told_update = o.watch.guarded(lambda scale: o.protocol.record("scaler_update", -1, o.lines.here(), scale=scale))

    def scale(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: GradScaler, outputs: Any) -> Any:
            result = original(self, outputs)
            told_scale(self, result)
            return result

        return run

    def update(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: GradScaler, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            if self.is_enabled():
                told_update(_scale_of(self))
            return result

        return run

    def read(original: Any) -> Any:
        @functools.wraps(original)
        def get_scale(self: GradScaler) -> Any:
            o.protocol.scale_read = True
            return original(self)

        return get_scale

    o.patches.replace(GradScaler, "get_scale", read)
    o.patches.replace(GradScaler, "scale", scale)
    o.patches.replace(GradScaler, "update", update)
    _scaled_steps(o, GradScaler)


def _scaled_steps(o: TorchObserver, kind: type[GradScaler]) -> None:
    """Steps through a scaler, and the unscaling that the script itself asks for: a step unscales by itself."""
    told_unscale = o.watch.guarded(lambda opt: o.protocol.unscale(opt, o.lines.here()))
    told_step = o.watch.guarded(
        lambda opt, stepped, s: o.protocol.scaler_step(opt, stepped, _scale_of(s), o.lines.here())
    )
    stepping = False

    def unscale(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: GradScaler, optimizer: Optimizer) -> Any:
            result = original(self, optimizer)
            if self.is_enabled() and not stepping:
                told_unscale(optimizer)
            return result

        return run

    def step(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: GradScaler, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            nonlocal stepping
            if not self.is_enabled():
                return original(self, optimizer, *args, **kwargs)
            before = o.optimizers.steps_total
            stepping = o.protocol.in_scaler = True
            try:
                result = original(self, optimizer, *args, **kwargs)
            finally:
                stepping = o.protocol.in_scaler = False
            told_step(optimizer, o.optimizers.steps_total > before, self)
            return result

        return run

    o.patches.replace(kind, "unscale_", unscale)
    o.patches.replace(kind, "step", step)


def _scale_of(scaler: Any) -> float:
    scale = scaler._scale
    if scale is None:
        return float(scaler._init_scale)
    return float(scale) if scale.is_cpu else 65536.0
