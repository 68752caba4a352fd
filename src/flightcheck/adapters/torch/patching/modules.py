"""Patches of a model's modules: regularization, initialization, normalization, mode, precision."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from flightcheck.adapters.torch.drawn_anew import initializations
from flightcheck.adapters.torch.patching import steps
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.dropouts import FUNCTIONS, with_option
from flightcheck.patch import Patch

_LAYERS: Final = (nn.Linear, nn.modules.conv._ConvNd)


def regularization(b: Boundaries, patch: Patch) -> None:
    """Weight decay, dropout and label smoothing are off; ``regularization:dropout`` takes only that."""
    which = {"weight_decay", "dropout", "label_smoothing"} if patch.value == "off" else {patch.value}
    if "weight_decay" in which:
        steps.weight_decay_off(b, patch)
    if "dropout" in which:

        def keep(original: Any) -> Any:
            @functools.wraps(original)
            def dropout(input: Any, *args: Any, **kwargs: Any) -> Any:
                b.acted(patch)
                return input

            return dropout

        for name in FUNCTIONS:
            b.observer.patches.replace(F, name, keep)

        def between(call: Any, module: nn.Module, given: Arguments) -> Any:
            if not (isinstance(module, nn.RNNBase) and module.training and module.dropout):
                return call(*given[0], **given[1])
            b.acted(patch)
            return with_option(module, "dropout", 0.0, call, given)

        b.at_module(between)
    if "label_smoothing" in which:

        def around(call: Any, name: str, given: Arguments) -> Any:
            if given[1].get("label_smoothing"):
                b.acted(patch)
                given = (given[0], {**given[1], "label_smoothing": 0.0})
            return call(*given[0], **given[1])

        b.at_loss(around)


def reinitialize(b: Boundaries, patch: Patch) -> None:
    """All matrices of a model are drawn anew before its first training call; norms stay, and embeddings but for zeros.

    Random numbers come from a generator of their own, so that the training draws the same ones as its control.
    """
    done: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if module not in done and torch.is_grad_enabled() and b.observer.steps == 0:
            done.add(module)
            with torch.random.fork_rng(devices=[]), torch.no_grad(), b.unwatched():
                torch.manual_seed(torch.initial_seed() % 2**31 + 41)
                draw(module, patch.value or "default")
            b.acted(patch)
        return call(*given[0], **given[1])

    b.at_root(root)


def drawn_once(b: Boundaries, patch: Patch) -> None:
    """``reinit:never``: parameters that were trained keep their values; the random numbers are drawn for nothing."""

    def around(tensor: Any, draw: Any) -> Any:
        if not b.observer.drawn_anew.drawn(tensor):
            return draw(tensor)
        b.acted(patch)
        draw(tensor.detach().clone())
        return tensor

    initializations(b.observer.patches, around)


def draw(model: nn.Module, how: str) -> None:
    """New values for the matrices of a model: ``default`` of each layer, ``xavier`` or ``kaiming`` (uniform).

    ``tables``: embeddings alone, with rows of a length of about 1.
    """
    for module in model.modules():
        table = module.weight if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) else None
        if how == "tables":
            if table is not None and bool(table.detach().any()):
                table.normal_(0, table.shape[1] ** -0.5)
            continue
        if "Norm" in type(module).__name__ and how == "default":
            _open(module)
        if (table is not None and bool(table.detach().any())) or "Norm" in type(module).__name__:
            continue
        reset = getattr(module, "reset_parameters", None)
        if (table is not None or how == "default") and callable(reset):
            reset()
            if table is not None:  # its own draws have a width of 1, which products of tables make too much of
                table.mul_(0.1)
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.dim() >= 2:
                if how == "kaiming":
                    nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
                else:
                    nn.init.xavier_uniform_(parameter)
            elif parameter.dim() == 1 and isinstance(module, (*_LAYERS, nn.RNNBase)):
                nn.init.zeros_(parameter)


def _open(norm: nn.Module) -> None:
    """The gains of a normalization that lets nothing through become one."""
    gain = getattr(norm, "weight", None)
    if isinstance(gain, torch.Tensor) and not bool(gain.detach().any()):
        gain.fill_(1.0)


def insert_norm(b: Boundaries, patch: Patch) -> None:
    """The output of each linear layer and convolution that is not the model's last is normalized over its features."""

    def normalized(module: nn.Module, result: torch.Tensor) -> torch.Tensor:
        shape = result.shape[1:] if isinstance(module, nn.modules.conv._ConvNd) else result.shape[-1:]
        return F.layer_norm(result, list(shape))

    _behind_hidden_layers(b, patch, normalized)


def insert_activation(b: Boundaries, patch: Patch) -> None:
    """``insert-activation:relu``: the output of each hidden linear layer and convolution goes through a ReLU."""
    _behind_hidden_layers(b, patch, lambda module, result: F.relu(result))


def _behind_hidden_layers(b: Boundaries, patch: Patch, then: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
    """The outputs of linear layers and convolutions are changed, those of a model's last one left as they are."""
    last: list[int] = []
    order: list[int] = []

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        if not isinstance(module, _LAYERS) or not isinstance(result, torch.Tensor):
            return result
        if not last:
            order.append(id(module))
            return result
        if id(module) == last[0]:
            return result
        b.acted(patch)
        return then(module, result)

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        if not last and order:  # in the first call the last layer is found
            last.append(order[-1])
        return result

    b.at_module(around)
    b.at_root(root)


def mode(b: Boundaries, patch: Patch) -> None:
    """``mode:eval``: evaluations run in eval mode, dropout that is called as a function included; ``mode:train``:
    training steps run in train mode; ``mode:batchnorm``: the batch normalizations of a model in train mode do.

    Dropout that is put off draws its random numbers all the same: the training goes on as its control does, and
    evaluations of the same weights are compared.
    """
    if patch.value == "batchnorm":
        b.at_root(functools.partial(_normalizing, b, patch))
        return

    switched: list[nn.Module] = []  # models that are in eval mode by this patch, for the call that runs

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        evaluating = not torch.is_grad_enabled()
        wanted = not evaluating
        if (patch.value == "eval") != evaluating or module.training == wanted:
            return call(*given[0], **given[1])
        b.acted(patch)
        before = [(m, m.training) for m in module.modules()]
        with b.unwatched():
            module.train(wanted)
        switched.append(module)
        try:
            return call(*given[0], **given[1])
        finally:
            switched.pop()
            for m, flag in before:
                m.training = flag

    b.at_root(root)
    if patch.value == "eval":
        for name in FUNCTIONS:
            b.observer.patches.replace(F, name, functools.partial(_off_without_gradients, b, patch, switched))


def bypass(b: Boundaries, patch: Patch) -> None:
    """``bypass:model.norm``: the module of this path gives back what it is given."""
    discovery = b.observer.discovery

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        index = discovery.module_index(module)
        if index is None or discovery.modules[index].path != patch.value or not given[0]:
            return result
        b.acted(patch)
        through = given[0][0]
        if isinstance(result, torch.Tensor) and result.shape == through.shape and result.requires_grad:
            return through + (result - result.detach())  # 0, with a graph: its parameters do not lose their gradients
        return through

    b.at_module(around)


def _normalizing(b: Boundaries, patch: Patch, call: Any, module: nn.Module, given: Arguments) -> Any:
    """A training call in which the batch normalizations use the batch."""
    fixed = [m for m in module.modules() if isinstance(m, _BatchNorm) and not m.training]
    if not (fixed and module.training and torch.is_grad_enabled()):
        return call(*given[0], **given[1])
    b.acted(patch)
    for m in fixed:
        m.training = True
    try:
        return call(*given[0], **given[1])
    finally:
        for m in fixed:
            m.training = False


def _off_without_gradients(b: Boundaries, patch: Patch, switched: list[nn.Module], original: Any) -> Any:
    """Dropout that does nothing in evaluations, whatever the script passes as its mode, but draws as it would have."""

    @functools.wraps(original)
    def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        if not p or torch.is_grad_enabled() or not b.observer.watch.mine() or not (training or switched):
            return original(input, p, training, inplace)
        if training:
            b.acted(patch)
        with b.unwatched():
            original(input, p, True, False)
        return input

    return dropout
