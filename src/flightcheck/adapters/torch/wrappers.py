"""The thin replacements of PyTorch's entry points: each calls the original, tells the observer, and never raises.

All of them let the original through untouched while a model is being compiled, in other threads and in forked
workers. The only exception of ours that may leave them is `StopTraining`.
"""

from __future__ import annotations

import functools
import sys
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader
from torch.utils.data._utils.worker import _worker_loop
from torch.utils.data.dataloader import _BaseDataLoaderIter

from flightcheck.adapters.torch import warning_lines
from flightcheck.adapters.torch.losses import FUNCTIONS
from flightcheck.adapters.torch.watch import hands_off

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def install(observer: TorchObserver) -> None:
    """Put every wrapper in; the observer's `Patches` own them."""
    _modules(observer)
    _losses(observer)
    _backward(observer)
    _optimizers(observer)
    _schedulers(observer)
    _clipping(observer)
    _scaler(observer)
    _loaders(observer)
    _compile(observer)
    _files(observer)
    _dropout(observer)
    _processes(observer)
    warning_lines.install(observer.patches)


def _modules(o: TorchObserver) -> None:
    note = o.watch.guarded(o.discovery.constructed)
    loaded = o.watch.guarded(o.discovery.load)
    depth = 0

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: nn.Module, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            if not torch.compiler.is_compiling():
                note(self)
                if isinstance(self, (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.Embedding)):
                    built = o.discovery.built.get(self)
                    o.randomness.model_built(built.location if built else None)

        return __init__

    def load(original: Any) -> Any:
        @functools.wraps(original)
        def load_state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            loaded(self, args[0] if args else kwargs.get("state_dict", {}))
            return result

        return load_state_dict

    def mode(original: Any) -> Any:
        def tell(module: nn.Module, training: bool) -> None:
            root = o.discovery.roots.get(id(module))
            if root is not None and root.module() is module:
                o.protocol.mode(training, root.info.index, o.lines.here())

        told = o.watch.guarded(tell)

        @functools.wraps(original)
        def train(self: nn.Module, mode: bool = True) -> Any:
            nonlocal depth
            if torch.compiler.is_compiling():
                return original(self, mode)
            depth += 1
            try:
                result = original(self, mode)
            finally:
                depth -= 1
            if not depth:
                told(self, mode)
            return result

        return train

    o.patches.replace(nn.Module, "__init__", construct)
    o.patches.replace(nn.Module, "load_state_dict", load)
    o.patches.replace(nn.Module, "train", mode)
    o.patches.replace(nn.Module, "zero_grad", lambda f: _zero_grad(o, f))
    o.patches.replace(nn.Module, "__call__", o.forward.wrap)


def _zero_grad(o: TorchObserver, original: Any) -> Any:
    def tell(owner: Any) -> None:
        line = o.lines.here() if o.protocol.close else None
        if isinstance(owner, Optimizer):
            o.protocol.zero_grad(owner, None, line)
        else:
            o.protocol.zero_grad(None, owner, line)

    told = o.watch.guarded(tell)

    @functools.wraps(original)
    def zero_grad(self: Any, *args: Any, **kwargs: Any) -> None:
        if not torch.compiler.is_compiling():
            told(self)
        original(self, *args, **kwargs)

    return zero_grad


def _losses(o: TorchObserver) -> None:
    told = o.watch.guarded(o.losses.called)
    nested = 0

    def wrap(name: str) -> Any:
        def make(original: Any) -> Any:
            @functools.wraps(original)
            def loss(*args: Any, **kwargs: Any) -> Any:
                nonlocal nested
                if torch.compiler.is_compiling() or not o.watch.mine():
                    return original(*args, **kwargs)
                nested += 1
                try:
                    result = original(*args, **kwargs)
                finally:
                    nested -= 1
                if not nested and not hands_off():
                    told(name, args, kwargs, result)
                return result

            loss.__dict__["__prepare_scriptable__"] = lambda: original  # what torch.jit.script is to compile
            return loss

        return make

    for name in FUNCTIONS:
        if hasattr(F, name):
            o.patches.replace(F, name, wrap(name))


def _backward(o: TorchObserver) -> None:
    before, after = o.watch.guarded(o.before_backward), o.watch.guarded(o.after_backward)
    differentiated = o.watch.guarded(o.differentiated)
    depth = 0

    def backward(original: Any) -> Any:
        @functools.wraps(original)
        def run_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            if depth or torch.compiler.is_compiling() or not o.watch.mine():
                if not torch.compiler.is_compiling():
                    o.watch.note_thread()
                return original(tensors, *args, **kwargs)
            seen = before(tensors) or (None, None, None)
            depth += 1
            try:
                result = original(tensors, *args, **kwargs)
            finally:
                depth -= 1
            after(*seen)
            o.stop_if_enough(before_step=True)
            return result

        return run_backward

    def grad(original: Any) -> Any:
        @functools.wraps(original)
        def run_grad(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not depth and not torch.compiler.is_compiling():
                differentiated()
            return result

        return run_grad

    o.patches.replace(torch.autograd, "backward", backward)
    o.patches.replace(torch.autograd, "grad", grad)


def _optimizers(o: TorchObserver) -> None:
    before, after = o.watch.guarded(o.before_step), o.watch.guarded(o.after_step)
    constructed = o.watch.guarded(o.optimizers.constructed)

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            constructed(self)

        return __init__

    def load(original: Any) -> Any:
        def note(optimizer: Optimizer) -> None:
            o.optimizers.of(optimizer).state_loaded = True

        told = o.watch.guarded(note)

        @functools.wraps(original)
        def load_state_dict(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            told(self)
            return result

        return load_state_dict

    def pre(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not torch.compiler.is_compiling():
            closure = kwargs.get("closure") or (args[1] if len(args) > 1 else None)
            before(optimizer, callable(closure))

    def post(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not torch.compiler.is_compiling():
            after(optimizer)
            o.stop_if_enough()

    o.patches.replace(Optimizer, "__init__", construct)
    o.patches.replace(Optimizer, "zero_grad", lambda f: _zero_grad(o, f))
    o.patches.replace(Optimizer, "load_state_dict", load)
    o.patches.add(register_optimizer_step_pre_hook(pre))
    o.patches.add(register_optimizer_step_post_hook(post))


def _schedulers(o: TorchObserver) -> None:
    nested = 0

    def tell(scheduler: Any) -> None:
        index = o.schedulers.stepped(scheduler, o.protocol.skipped)
        if index is not None:
            o.protocol.record("scheduler_step", index, o.lines.here())

    told = o.watch.guarded(tell)
    constructed = o.watch.guarded(o.discovery.constructed)

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            nonlocal nested
            nested += 1
            try:
                original(self, *args, **kwargs)
            finally:
                nested -= 1
            constructed(self)

        return __init__

    def step(original: Any) -> Any:
        @functools.wraps(original)
        def run_step(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal nested
            nested += 1
            try:
                result = original(self, *args, **kwargs)
            finally:
                nested -= 1
            if not nested:
                told(self)
            return result

        return run_step

    for kind in vars(lr_scheduler).values():
        if isinstance(kind, type) and issubclass(kind, lr_scheduler.LRScheduler):
            for name, make in (("__init__", construct), ("step", step)):
                if name in vars(kind):
                    o.patches.replace(kind, name, make)


def _clipping(o: TorchObserver) -> None:
    def by_norm(parameters: Any, max_norm: Any, result: Any) -> None:
        norm = float(result) if isinstance(result, torch.Tensor) and (result.is_cpu or o.watch.sampled) else None
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


def _scaler(o: TorchObserver) -> None:
    from torch.amp.grad_scaler import GradScaler

    told_unscale = o.watch.guarded(lambda opt: o.protocol.unscale(opt, o.lines.here()))
    told_step = o.watch.guarded(
        lambda opt, stepped, s: o.protocol.scaler_step(opt, stepped, _scale_of(s), o.lines.here())
    )
    told_scale = o.watch.guarded(lambda s: o.protocol.scaled(_scale_of(s)) if s.is_enabled() else None)
    told_update = o.watch.guarded(lambda scale: o.protocol.record("scaler_update", -1, o.lines.here(), scale=scale))
    stepping = False

    def scale(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: GradScaler, outputs: Any) -> Any:
            result = original(self, outputs)
            told_scale(self)
            return result

        return run

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
            stepping = True
            try:
                result = original(self, optimizer, *args, **kwargs)
            finally:
                stepping = False
            told_step(optimizer, o.optimizers.steps_total > before, self)
            return result

        return run

    o.patches.replace(GradScaler, "scale", scale)
    o.patches.replace(GradScaler, "unscale_", unscale)

    def update(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: GradScaler, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            if self.is_enabled():
                told_update(_scale_of(self))
            return result

        return run

    o.patches.replace(GradScaler, "step", step)
    o.patches.replace(GradScaler, "update", update)


def _scale_of(scaler: Any) -> float:
    scale = scaler._scale
    if scale is None:
        return float(scaler._init_scale)
    return float(scale) if scale.is_cpu else 65536.0


def _loaders(o: TorchObserver) -> None:
    constructed = o.watch.guarded(o.discovery.constructed)
    current: dict[int, int] = {}

    def iterated(loader: Any, iterator: Any) -> None:
        index = o.loaders.iterated(loader, o.lines.here())
        current[id(iterator)] = index
        o.protocol.record("loader_iter", index, o.lines.here())

    told = o.watch.guarded(iterated)
    fetched = o.watch.guarded(lambda it: o.loaders.fetched(current[id(it)]) if id(it) in current else None)

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            constructed(self)

        return __init__

    def iterate(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: Any) -> Any:  # noqa: N807
            iterator = original(self)
            told(self, iterator)
            return iterator

        return __iter__

    def following(original: Any) -> Any:
        @functools.wraps(original)
        def __next__(self: Any) -> Any:  # noqa: N807
            batch = original(self)
            fetched(self)
            return batch

        return __next__

    o.patches.replace(DataLoader, "__init__", construct)
    o.patches.replace(DataLoader, "__iter__", iterate)
    o.patches.replace(_BaseDataLoaderIter, "__next__", following)


def _compile(o: TorchObserver) -> None:
    def tell() -> None:
        o.watch.compiled = True
        o.operations.suspend()
        o.activations.disarm()

    told = o.watch.guarded(tell)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def compile_(*args: Any, **kwargs: Any) -> Any:
            told()
            return original(*args, **kwargs)

        return compile_

    o.patches.replace(torch, "compile", make)
    o.patches.replace(nn.Module, "compile", make)


def _processes(o: TorchObserver) -> None:
    def counted(process: BaseProcess) -> None:
        o.watch.children += getattr(process, "_target", None) is not _worker_loop

    count = o.watch.guarded(counted)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def start(self: BaseProcess) -> None:
            count(self)
            original(self)

        return start

    o.patches.replace(BaseProcess, "start", make)


def _files(o: TorchObserver) -> None:
    told = o.watch.guarded(lambda read: o.optimizers.state_read(read, o.lines.here()))

    def load(original: Any) -> Any:
        @functools.wraps(original)
        def run(*args: Any, **kwargs: Any) -> Any:
            read = original(*args, **kwargs)
            told(read)
            return read

        return run

    o.patches.replace(torch, "load", load)


def _dropout(o: TorchObserver) -> None:
    """Dropout called as a function knows nothing of ``eval()``: is it on while a model is evaluated?"""
    kinds: list[Any] = [k for k in vars(nn.modules.dropout).values() if isinstance(k, type) and "forward" in vars(k)]
    own = {k.forward.__code__ for k in kinds}

    def note() -> None:
        o.forward.dropout_line = o.lines.here()

    noted = o.watch.guarded(note)

    def make(share: str, default: float, position: int, flagged: bool) -> Any:
        def wrap(original: Any) -> Any:
            @functools.wraps(original)
            def dropout(*args: Any, **kwargs: Any) -> Any:
                if o.forward.evaluating and o.forward.dropout_line is None and not torch.compiler.is_compiling():
                    p = args[position] if len(args) > position else kwargs.get(share, default)
                    told = flagged and (len(args) > 2 or "training" in kwargs)
                    # A Dropout module that was left in train mode is another fault.
                    if p > 0 and not told and sys._getframe(1).f_code not in own:
                        noted()
                return original(*args, **kwargs)

            return dropout

        return wrap

    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"):
        o.patches.replace(F, name, make("p", 0.5, 1, True))
    o.patches.replace(F, "scaled_dot_product_attention", make("dropout_p", 0.0, 4, False))
