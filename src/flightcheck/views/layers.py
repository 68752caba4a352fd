"""The layers of a model: shapes, parameters, multiplications, receptive fields, and which feeds which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from flightcheck.views.batch import MOST_EXAMPLES, Batch, tensors_of
from flightcheck.views.calls import called, output_of
from flightcheck.views.receptive_fields import WHOLE, Field, after, wider

SEQUENTIAL: Final = (nn.RNNBase, nn.MultiheadAttention)
"""Modules that are one layer, whatever they hold inside, and whose results see the whole sequence."""
_EXAMPLES: Final = 3
"""Enough to see how a model is built."""
_TWO_AXES: Final = (*SEQUENTIAL, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.Transformer)
"""Modules that say by ``batch_first`` where their examples are."""


@dataclass
class Layer:
    """A module that was called."""

    path: str
    """Dotted, as in ``named_modules()``; empty for the model itself."""
    type: str
    order: int
    """Of its first call."""
    calls: int = 1
    shape: tuple[int, ...] | None = None
    """Of the first tensor of its output, examples included; None if it returns none."""
    axis: int = 0
    """Of the examples in the output."""
    parameters: int = 0
    """Numbers that are learnt here: of a layer all, of a container only its own."""
    frozen: int = 0
    """How many of them need no gradient."""
    macs: int | None = None
    """Multiplications with addition for one example, over all calls: half of what PyTorch counts as operations."""
    receptive_field: str = ""
    """Input positions that one value sees, such as ``7×7``; ``all``; empty where there is nothing to count."""
    parent: str | None = None
    """Path of the nearest called module around it."""
    inside: int = 0
    """Called modules inside it, however deep: 0 for a layer."""
    settings: str = ""
    """As the module prints itself."""


@dataclass
class Structure:
    """What a model is made of."""

    layers: list[Layer]
    """In the order of their first calls."""
    edges: list[tuple[str, str]]
    """Layer → layer, by path: an output of the first reached the second, through whatever lies between them."""
    batch: Batch
    """The batch with its examples counted along the right axis."""
    notes: list[str] = field(default_factory=list)

    def leaves(self) -> list[Layer]:
        """The layers that hold no other."""
        return [x for x in self.layers if not x.inside]


@dataclass
class _Origin:
    """Where a tensor comes from."""

    layers: frozenset[str]
    field: Field | None


class _Flow(TorchFunctionMode):
    """Follows tensors from layer to layer."""

    def __init__(self, inputs: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.origins: Any = WeakTensorKeyDictionary()  # of `_Origin`
        for t in inputs:
            self.origins[t] = _Origin(frozenset(), Field())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [t for t in tensors_of([args, kwargs]) if t in self.origins]
        with torch._C.DisableTorchFunction():  # what the function is made of is not asked for, by no mode
            out = func(*args, **kwargs)
        if not given:
            return out
        name = getattr(func, "__name__", "").removeprefix("_")
        results = tensors_of(out)
        if name.rstrip("_") == "setitem" or (name.startswith("__i") and tensors_of(args[:1])):
            results += tensors_of(args[:1])
        origin = self.merged(given)
        if origin.field is not None:
            source = next(iter(tensors_of(args)), given[0])
            behind = after(
                getattr(func, "__name__", ""), args, kwargs, field=origin.field, source=source, out=output_of(out)
            )
            origin = _Origin(origin.layers, behind)
        for t in results:
            self.origins[t] = origin
        return out

    def merged(self, tensors: Iterable[torch.Tensor]) -> _Origin:
        """What several tensors come from together."""
        layers: frozenset[str] = frozenset()
        seen: Field | None = None
        for t in tensors:
            known = self.origins.get(t)
            if known is not None:
                layers |= known.layers
                seen = wider(seen, known.field)
        return _Origin(layers, seen)


def structure_of(model: nn.Module, batch: Batch) -> Structure:
    """The layers of a model that a batch goes through.

    Args:
        model: a copy in evaluation mode, see `flightcheck.views.undisturbed`.
        batch: whose examples lie along `batch.axis`, or where the first layer says that they do.

    What the model raises passes through.
    """
    whole = _rightly_counted(model, batch)
    try:
        made = _structure_of(model, whole.cut(_EXAMPLES))
    except Exception:
        if whole.size <= _EXAMPLES:
            raise
        made = _structure_of(model, whole)  # a model that wants its own number of examples
    for x in made.layers:
        if x.shape is not None and x.axis >= 0:
            each = x.shape[x.axis] // made.batch.size
            x.shape = (*x.shape[: x.axis], each * whole.size, *x.shape[x.axis + 1 :])
    made.batch = whole
    return made


def _structure_of(model: nn.Module, batch: Batch) -> Structure:
    seen = _Seen(batch)
    with ExitStack() as stack:
        stack.enter_context(_countable())
        stack.enter_context(torch.no_grad())
        flops = stack.enter_context(FlopCounterMode(display=False))
        stack.enter_context(torch._C._EnableTorchFunction())  # switched off for all that an observer does in a training
        flow = stack.enter_context(_Flow(tensors_of([batch.args, batch.kwargs])))
        seen.total, seen.flow = flops.get_total_flops, flow
        called(model, batch, seen.behind, seen.ahead)
    layers = sorted(seen.layers.values(), key=lambda x: x.order)
    for x in layers:
        x.inside = sum(_within(o.path, x.path) for o in layers if o is not x)
        around = [o.path for o in layers if o is not x and _within(x.path, o.path)]
        x.parent = max(around, key=len, default=None)
        if x.macs is not None:
            x.macs = round(x.macs / 2 / batch.size)
    _count_parameters(model, layers)
    notes = list(_examples_axes(model, batch, layers))
    leaves = {x.path for x in layers if not x.inside}
    edges = sorted({(a, b) for a, b in seen.edges if a in leaves and b in leaves and a != b})
    order = {x.path: x.order for x in layers}
    return Structure(layers, sorted(edges, key=lambda e: (order[e[0]], order[e[1]])), batch, notes)


@contextmanager
def _countable() -> Iterator[None]:
    """Fused kernels of attention and of recurrent layers hide their multiplications."""
    fused = torch._C._get_mkldnn_enabled()  # `torch.backends.mkldnn.flags` warns of graphics cards that are not there
    torch._C._set_mkldnn_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch._C._set_mkldnn_enabled(fused)


class _Seen:
    """Collects what the hooks of one call tell."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.layers: dict[str, Layer] = {}
        self.edges: set[tuple[str, str]] = set()
        self.flow = _Flow([])
        self.total: Any = lambda: 0
        self._open: list[tuple[str, int, _Origin]] = []
        self._whole: list[str] = []

    def ahead(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = self.flow.merged(t for t in tensors_of([args, kwargs]) if t in self.flow.origins)
        self._open.append((path, self.total(), given))
        self.edges |= {(source, path) for source in given.layers if not self._whole}
        if path not in self.layers and not self._whole:
            self.layers[path] = Layer(path, type(module).__name__, len(self.layers), calls=0)
            self.layers[path].settings = module.extra_repr()[:300] if not _has_children(module) else ""
        if isinstance(module, SEQUENTIAL):
            self._whole.append(path)

    def behind(self, path: str, module: nn.Module, args: Any, out: Any) -> None:
        _, before, given = self._open.pop()
        if self._whole and self._whole[-1] == path:
            self._whole.pop()
        if self._whole:
            return
        layer = self.layers[path]
        layer.calls += 1
        layer.macs = (layer.macs or 0) + self.total() - before
        results = tensors_of(out)
        first = output_of(out)
        if first is not None and layer.shape is None:
            layer.shape = tuple(first.shape)
        inner = self.flow.merged(results)
        if _is_container(self, path) and not isinstance(module, SEQUENTIAL):
            sees = inner.field
        else:
            sees = WHOLE if isinstance(module, SEQUENTIAL) and given.field is not None else inner.field
            for t in results:
                self.flow.origins[t] = _Origin(frozenset({path}), sees)
        if sees is not None and (sees.size or sees.whole):
            layer.receptive_field = sees.text()


def _is_container(seen: _Seen, path: str) -> bool:
    return any(_within(p, path) for p in seen.layers if p != path)


def _has_children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _within(path: str, other: str) -> bool:
    return not other or path.startswith(f"{other}.")


def _count_parameters(model: nn.Module, layers: list[Layer]) -> None:
    """A parameter counts where it is first used, so that the column adds up to the model's."""
    counted: set[int] = set()
    modules = dict(model.named_modules())
    for x in layers:
        module = modules[x.path]
        for p in module.parameters(recurse=not x.inside):
            if id(p) not in counted:
                counted.add(id(p))
                x.parameters += p.numel()


def _rightly_counted(model: nn.Module, batch: Batch) -> Batch:
    """Where the first layer of a sequence says that examples lie along the second axis, they do."""
    shape = batch.first.shape
    if batch.axis or len(shape) < 2 or shape[0] == shape[1]:
        return batch
    for module in model.modules():
        first = getattr(module, "batch_first", None)
        if isinstance(module, _TWO_AXES) and first is not None:
            turned = not first and _reached(model, module, batch) is not False
            return batch.along(1).cut(MOST_EXAMPLES) if turned else batch
    return batch


def _reached(model: nn.Module, module: nn.Module, batch: Batch) -> bool | None:
    """Do the first two axes of the batch reach a module as they are? None where it is not called."""
    found: list[bool] = []

    def before(path: str, m: nn.Module, args: Any, kwargs: Any) -> None:
        given = tensors_of([args, kwargs])
        if m is module and given and not found:
            found.append(given[0].shape[:2] == batch.first.shape[:2])

    with torch.no_grad():
        called(model, batch, lambda *_: None, before)
    return found[0] if found else None


def _examples_axes(model: nn.Module, batch: Batch, layers: list[Layer]) -> Iterable[str]:
    """Find the axis of the examples in each output: the one that is shorter when there is one example less."""
    for x in layers:
        sizes = x.shape or ()
        fits = [i for i, n in enumerate(sizes) if n == batch.size] or [
            i for i, n in enumerate(sizes) if not n % batch.size
        ]
        x.axis = fits[0] if fits else -1
    if batch.size < 2:
        return
    shapes: dict[str, tuple[int, ...]] = {}

    def look(path: str, module: nn.Module, args: Any, out: Any) -> None:
        first = output_of(out)
        if first is not None:
            shapes.setdefault(path, tuple(first.shape))

    try:
        with torch.no_grad():
            called(model, batch.cut(batch.size - 1), look)
    except Exception as e:
        yield f"the model does not take {batch.size - 1} of the {batch.size} examples ({type(e).__name__})"
        return
    for x in layers:
        less = shapes.get(x.path)
        if x.shape is not None and less is not None and len(less) == len(x.shape):
            changed = [i for i, (n, m) in enumerate(zip(x.shape, less)) if n - m == n // batch.size and n != m]
            x.axis = changed[0] if changed else -1
