"""Calls of models and of functions: modules, losses, dropout, compilation."""

from __future__ import annotations

import functools
import sys
from threading import get_ident
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from flightcheck.adapters.torch.frames import local
from flightcheck.adapters.torch.losses import FUNCTIONS
from flightcheck.adapters.torch.watch import hands_off
from flightcheck.adapters.torch.wrappers.clearing import clearing

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def modules(o: TorchObserver) -> None:
    """Construction, loading, modes and calls of modules."""
    note = o.watch.guarded(o.discovery.constructed)
    loaded, before_load = o.watch.guarded(o.discovery.load), o.watch.guarded(o.checkpoints.before_load)
    after_load = o.watch.guarded(o.checkpoints.after_load)
    lost = o.watch.guarded(o.checkpoints.weights.loaded)

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: nn.Module, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            if not torch.compiler.is_compiling():
                note(self, in_call=o.forward.depth > 0)
                o.structure.constructed()
                if isinstance(self, (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.Embedding)):
                    built = o.discovery.built.get(self)
                    o.randomness.model_built(built.location if built else None)

        return __init__

    def load(original: Any) -> Any:
        @functools.wraps(original)
        def load_state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            before = before_load(self)
            result = original(self, *args, **kwargs)
            state = args[0] if args else kwargs.get("state_dict", {})
            loaded(self, state)
            lost(self, state)
            after_load(self, state, bool(args[1] if len(args) > 1 else kwargs.get("strict", True)), before or {})
            return result

        return load_state_dict

    converted = o.watch.guarded(lambda module: o.stored_updates.cast(module, o.lines.here()))

    def convert(original: Any) -> Any:
        @functools.wraps(original)
        def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            if not torch.compiler.is_compiling():
                converted(self)
            return result

        return call

    o.patches.replace(nn.Module, "__init__", construct)
    o.patches.replace(nn.Module, "load_state_dict", load)
    _modes(o)
    for name in ("to", "half", "bfloat16"):
        o.patches.replace(nn.Module, name, convert)
    o.patches.replace(nn.Module, "zero_grad", lambda f: clearing(o, f))
    o.patches.replace(nn.Module, "__call__", o.forward.wrap)


def _modes(o: TorchObserver) -> None:
    """``train`` and ``eval`` of whole models: a module passes the call on to its children."""
    depth = 0

    def mode(original: Any) -> Any:
        def tell(module: nn.Module, training: bool) -> None:
            kind = "train_mode" if training else "eval_mode"
            root = o.discovery.roots.get(id(module))
            if root is None or root.module() is not module:
                o.discovery.mode_before_first_call(module, kind, o.lines.here())
            else:
                o.protocol.record(kind, root.info.index, o.lines.here())

        told = o.watch.guarded(tell)
        norm = o.watch.guarded(lambda module, training: o.batchnorms.mode(module, training, o.lines.here))

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
            if isinstance(self, _BatchNorm):
                norm(self, mode)
            if not depth:
                told(self, mode)
            return result

        return train

    o.patches.replace(nn.Module, "train", mode)


def losses(o: TorchObserver) -> None:
    """The loss functions of `torch.nn.functional`."""
    told, watch = o.watch.guarded(o.losses.called), o.watch
    nested = 0

    def wrap(name: str) -> Any:
        def make(original: Any) -> Any:
            @functools.wraps(original)
            def loss(*args: Any, **kwargs: Any) -> Any:
                nonlocal nested
                if torch.compiler.is_compiling() or not watch.on or get_ident() != watch.thread:
                    return original(*args, **kwargs)
                nested += 1
                try:
                    result = original(*args, **kwargs)
                finally:
                    nested -= 1
                if nested or (watch.resting and isinstance(result, torch.Tensor)
                              and (result.requires_grad or watch.checkpointed)):  # fmt: skip
                    return result
                if not hands_off():
                    told(name, args, kwargs, result)
                return result

            loss.__dict__["__prepare_scriptable__"] = lambda: original  # what torch.jit.script is to compile
            return loss

        return make

    for name in FUNCTIONS:
        if hasattr(F, name):
            o.patches.replace(F, name, wrap(name))


def dropout(o: TorchObserver) -> None:
    """Dropout that ``eval()`` does not reach: called as a function, or in a module that the model does not hold (made
    anew in its forward pass, or kept in a plain list). Is it on while a model is evaluated?
    """
    kinds: list[Any] = [k for k in vars(nn.modules.dropout).values() if isinstance(k, type) and "forward" in vars(k)]
    own = {k.forward.__code__ for k in kinds}

    def note(caller: FrameType, told: bool) -> None:
        unheld = _unheld(caller, o.operations.modules)
        # A Dropout module of the model's own that was left in train mode is another fault.
        if unheld or not (told or caller.f_code in own):
            evaluations.dropout_line, evaluations.dropout_unheld = o.lines.here(), unheld

    noted, forward, evaluations = o.watch.guarded(note), o.forward, o.forward.evaluations

    def make(share: str, default: float, position: int, flagged: bool) -> Any:
        def wrap(original: Any) -> Any:
            @functools.wraps(original)
            def dropout(*args: Any, **kwargs: Any) -> Any:
                if forward.evaluating and evaluations.dropout_line is None and not torch.compiler.is_compiling():
                    p = args[position] if len(args) > position else kwargs.get(share, default)
                    told = flagged and (len(args) > 2 or "training" in kwargs)
                    on = not told or (args[2] if len(args) > 2 else kwargs["training"])
                    if p > 0 and on:
                        noted(sys._getframe(1), told)
                return original(*args, **kwargs)

            return dropout

        return wrap

    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"):
        o.patches.replace(F, name, make("p", 0.5, 1, True))
    o.patches.replace(F, "scaled_dot_product_attention", make("dropout_p", 0.0, 4, False))


def _unheld(caller: FrameType, running: list[nn.Module]) -> bool:
    """The method that calls dropout is that of a module which the model that runs does not hold."""
    first = caller.f_code.co_varnames[:1] if caller.f_code.co_argcount else ()
    module = local(caller, first[0]) if first else None
    return isinstance(module, nn.Module) and bool(running) and all(m is not module for m in running[0].modules())


def compilation(o: TorchObserver) -> None:
    """Compiled models: hooks would stay silent in them."""

    def tell() -> None:
        o.watch.compiled = True
        o.operations.suspend()
        o.activations.disarm()

    told = o.watch.guarded(tell)
    if _compiled_before():
        told()

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def compile_(*args: Any, **kwargs: Any) -> Any:
            told()
            return original(*args, **kwargs)

        return compile_

    o.patches.replace(torch, "compile", make)
    o.patches.replace(nn.Module, "compile", make)


def _compiled_before() -> bool:
    """Something was compiled in this process before it is watched. It will be compiled again, with what is on the
    stack of function modes then: our mode is none that can be compiled.
    """
    frames = sys.modules.get("torch._dynamo.eval_frame")
    backends = dict(getattr(frames, "cached_backends", {}))  # and a None for each function that must not be compiled
    return any(callable(b) for b in backends.values())
