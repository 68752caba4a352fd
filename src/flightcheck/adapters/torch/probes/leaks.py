"""Who sees whom: does an output depend on other examples, on later tokens, on padding? Asked of the model itself.

The probe runs where nothing has to go on: it puts the model into eval mode and float64, replaces parts of one batch and
looks which outputs move. A model that cannot be asked so says nothing.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.batches import first_tensor, tensors_in
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.adapters.torch.probes.batch_place import place_in_batch
from flightcheck.adapters.torch.probes.example_place import example_place
from flightcheck.adapters.torch.probes.leak_place import Here, leak_place
from flightcheck.adapters.torch.shifts import Slice, fitting, layouts, slices_of
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe

_MIXING: Final = (nn.RNNBase, nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)
"""Modules in which padding may legally reach its neighbours."""
_SHIFTED: Final = 0.95
"""Share of positions at which the target is the next token: then the task is to predict it."""
_NOISE: Final = 1e-7
"""In float64 what does not depend stays equal to about 1e-12; kernels for float32 leave 1e-6, and are not asked."""


class _Last:
    """The last training call of each model, with its arguments and the target that followed."""

    def __init__(self) -> None:
        self.module: nn.Module | None = None
        self.given: Arguments = ((), {})
        self.target: torch.Tensor | None = None
        self.slices: list[Slice] = []
        """What the loss cut off the output; without nodes, which hold the graph."""
        self.ignored = -100
        self.digests: set[tuple[int, float]] = set()


def install(b: Boundaries, patch: Patch) -> None:
    """Remember the last batch; ask the model about it when the trial ends."""
    last = _Last()

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        output = first_tensor(result)
        if torch.is_grad_enabled() and module.training and output is not None and output.requires_grad:
            size = sum(p.numel() for p in module.parameters())
            known = last.module
            if known is None or known is module or size > sum(p.numel() for p in known.parameters()):
                last.module, last.given = module, given
                for _, t in list(tensors_in(*given))[:1]:
                    last.digests.add((len(t) if t.dim() else 0, float(t.detach().double().sum())))
        return result

    def loss(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, _ = arguments_of(given)
        if torch.is_grad_enabled() and isinstance(target, torch.Tensor):
            last.target = target.detach()
            last.slices = [(None, *s[1:]) for s in slices_of(getattr(prediction, "grad_fn", None))]
            last.ignored = int(given[1].get("ignore_index", -100))
        return call(*given[0], **given[1])

    def told() -> Probe | None:
        with b.unwatched(), torch.no_grad():
            found = ask(last, b.observer.lines.here)
        return Probe("leaks", found) if found else None

    b.at_root(root)
    b.at_loss(loss)
    b.probes.append(told)
    b.acted(patch)


def ask(last: _Last, here: Here) -> dict[str, Any]:
    """What could be asked: ``examples``, ``future`` and ``padding``, each the largest relative movement of an output.

    Also ``dim`` of the examples, ``apart`` (it is certain that they lie there), ``place`` and ``place_at`` (see
    `place_in_batch`), ``mixed_at`` and ``mixed_order`` (see `example_place`), ``next_token`` (the target is the input,
    one step ahead), ``copies`` (it is the input itself, or the one before), ``present`` (how far an output moves with
    that token, asked where the target copies) and ``at`` (the line at which the future gets in). A key is missing where
    the question does not apply.
    """
    if last.module is None or last.target is None or any(nn.parameter.is_lazy(p) for p in last.module.parameters()):
        return {}
    try:
        model = copy.deepcopy(last.module).eval().double()
        args, kwargs = map_tensors(last.given, lambda t: t.detach().double() if t.is_floating_point() else t.detach())
    except Exception:  # not copyable, or not to be had in float64
        return {}
    told: dict[str, Any] = {}
    for question in (_examples, _future, _padding):
        with contextlib.suppress(Exception):
            told |= question(model, (args, kwargs), last)
    if told.get("apart") and told["examples"] <= _NOISE:
        with contextlib.suppress(Exception):
            output = _output(model, (args, kwargs))
            told |= place_in_batch(model, (args, kwargs), output, dim=told["dim"], call=_output, here=here)
    if told.get("examples", 0.0) > _NOISE:
        with contextlib.suppress(Exception):
            told |= _mixing(model, (args, kwargs), told["dim"], told["batch"], here)
    if told.get("next_token") and told["future"] > _NOISE:
        with contextlib.suppress(Exception):
            told |= _place(model, (args, kwargs), told["argument"], here)
    return told


def _place(model: nn.Module, given: Arguments, argument: str, here: Here) -> dict[str, Any]:
    """The line at which later tokens reach earlier outputs."""
    ids = next(t for name, t in tensors_in(*given) if name == argument)
    changed = _exchanged(given, ids, _other_future(ids))
    line = leak_place(
        model, lambda replaced: _output(model, changed if replaced else given),
        (ids.shape[0], ids.shape[1]), ids.shape[1] // 2, here,
    )  # fmt: skip
    return {"at": dataclasses.asdict(line)} if line is not None else {}


def _mixing(model: nn.Module, given: Arguments, dim: int, n: int, here: Here) -> dict[str, Any]:
    """The line at which examples get mixed, and by which kind of order."""
    changed = _others(given, dim, n)
    found = example_place(lambda moved: _output(model, changed if moved else given), n, here)
    return {f"mixed_{key}": value for key, value in found.items()}


def _other_future(ids: torch.Tensor) -> torch.Tensor:
    """The second half of every row is another's, or its own backwards."""
    at = ids.shape[1] // 2
    other = ids.clone()
    other[:, at:] = torch.roll(ids, 1, 0)[:, at:] if len(ids) > 1 else ids.flip(1)[:, at:]
    return other


def _output(model: nn.Module, given: Arguments) -> torch.Tensor:
    torch.manual_seed(0)
    output = first_tensor(model(*given[0], **given[1]))
    if output is None or not output.is_floating_point() or not bool(torch.isfinite(output).all()):
        raise ValueError("no output to look at")
    return output


def _moved(before: torch.Tensor, after: torch.Tensor) -> float:
    """Largest change, relative to the size of the output."""
    return float((after - before).abs().max()) / max(float(before.abs().max()), 1e-30)


def _is_still(model: nn.Module, given: Arguments, output: torch.Tensor) -> bool:
    """The same question gets the same answer (no noise in eval mode)."""
    return _moved(output, _output(model, given)) < _NOISE / 10


def _examples(model: nn.Module, given: Arguments, last: _Last) -> dict[str, Any]:
    """All examples but one are replaced by others of the batch; does the output of that one move?"""
    target = last.target
    tensors = [t for _, t in tensors_in(*given) if t.dim() > 0]
    if target is None or not tensors or len(last.digests) < 2 or _is_graph(tensors):
        return {}
    output = _output(model, given)
    n = len(tensors[0])
    single = target.dim() > 0 and len(target) == n == len(output) and n >= 4
    if not single or (output.dim() == 2 and output.shape[1] == n) or not _is_still(model, given, output):
        return {}
    moves = [_mixed(model, given, output, 0, n)]
    if output.dim() > 2 and tensors[0].dim() > 1 and output.shape[1] == tensors[0].shape[1] >= 2:
        # Time may come first: then the second dimension holds the examples, and these are apart.
        moves.append(_mixed(model, given, output, 1, int(output.shape[1])))
    apart = len(moves) == 1 or max(moves) > _NOISE
    return {"examples": min(moves), "dim": moves.index(min(moves)), "batch": n, "apart": apart}


def _is_graph(tensors: list[torch.Tensor]) -> bool:
    """A list of edges, or a square of nodes: rows belong together by design."""
    for t in tensors:
        if t.dim() != 2:
            continue
        if t.shape[0] == 2 and not t.is_floating_point():
            return True
        joined = t != 0
        if t.shape[0] == t.shape[1] and not bool(joined.all()) and torch.equal(joined, joined.T):
            return True
    return False


def _mixed(model: nn.Module, given: Arguments, output: torch.Tensor, dim: int, n: int) -> float:
    kept = n // 2
    return _moved(output.select(dim, kept), _output(model, _others(given, dim, n)).select(dim, kept))


def _others(given: Arguments, dim: int, n: int) -> Arguments:
    """All examples but the one in the middle are replaced by their neighbours."""
    kept = n // 2

    def replace(t: torch.Tensor) -> torch.Tensor:
        if t.dim() <= dim or t.shape[dim] != n:
            return t
        order = torch.roll(torch.arange(n), 1)
        order[kept] = kept
        return t.index_select(dim, order.to(t.device))

    changed: Arguments = map_tensors(given, replace)
    return changed


def _future(model: nn.Module, given: Arguments, last: _Last) -> dict[str, Any]:
    """Of a task to predict the next token: tokens behind a position are replaced; do outputs before it move?"""
    for name, ids in tensors_in(*given):
        told = _role(ids, last)
        if not told:
            continue
        output = _output(model, given)
        if output.dim() < 3 or output.shape[:2] != ids.shape or not _is_still(model, given, output):
            return {}
        at, other = ids.shape[1] // 2, _other_future(ids)
        if torch.equal(other, ids):
            return {}
        after = _output(model, _exchanged(given, ids, other))
        found = {**told, "future": _moved(output[:, :at], after[:, :at]), "argument": name}
        if told["copies"]:
            only, copied = ids.clone(), at - told["back"]
            only[:, copied] = torch.where(ids[:, copied] == ids.max(), ids.min(), ids.max())
            found["present"] = _moved(output[:, at], _output(model, _exchanged(given, ids, only))[:, at])
        return found
    return {}


def _exchanged(given: Arguments, old: torch.Tensor, new: torch.Tensor) -> Arguments:
    changed: Arguments = map_tensors(given, lambda t: new if t is old else t)
    return changed


def _role(ids: torch.Tensor, last: _Last) -> dict[str, Any]:
    """Is the target the next token of these ids, the same one, or the one before (``back`` 1)?"""
    target = last.target
    if target is None or ids.is_floating_point() or ids.dim() != 2 or target.is_floating_point():
        return {}
    if ids.shape[1] < 4:
        return {}
    if last.slices:  # the loss looks at some of the positions
        fits = [f for y in layouts(ids, target, last.slices) if y.axis == 1 and (f := fitting(y, last.ignored))]
        if not fits or fits[0][0] not in (0, 1, -1):
            return {}
        return {"next_token": fits[0][0] == 1, "copies": fits[0][0] < 1, "back": int(fits[0][0] < 0)}
    if target.numel() != ids.numel():
        return {}
    y = target.reshape(ids.shape)
    ahead = float((y[:, :-1] == ids[:, 1:]).double().mean())
    same = float((y == ids).double().mean())
    varied = int(torch.unique(ids[:, 1:] - ids[:, :-1]).numel()) > 1
    if not varied:
        return {}
    behind = float((y[:, 1:] == ids[:, :-1]).double().mean())
    if ahead > _SHIFTED and same < _SHIFTED:
        return {"next_token": True, "copies": False}
    if max(same, behind) > 0.99 and ahead < _SHIFTED:
        return {"next_token": False, "copies": True, "back": int(behind > same)}
    return {}


def _padding(model: nn.Module, given: Arguments, last: _Last) -> dict[str, Any]:
    """The embedding of the padding token is replaced by noise; do outputs at other tokens move? Attention only."""
    if not any(isinstance(m, nn.MultiheadAttention) for m in model.modules()):
        return {}
    if any(isinstance(m, _MIXING) for m in model.modules()):
        return {}
    for embedding, ids in _padded(model, given):
        output = _output(model, given)
        if output.shape[:2] != ids.shape or not _is_still(model, given, output):
            return {}
        pad = int(embedding.padding_idx or 0)
        real = ids != pad
        share = float((~real).double().mean())
        embedding.weight[pad] = torch.randn_like(embedding.weight[pad])
        after = _output(model, given)
        return {"padding": _moved(output[real], after[real]), "pad_share": share}
    return {}


def _padded(model: nn.Module, given: Arguments) -> Iterator[tuple[nn.Embedding, torch.Tensor]]:
    embeddings = [m for m in model.modules() if isinstance(m, nn.Embedding) and m.padding_idx is not None]
    for _, ids in tensors_in(*given):
        if ids.is_floating_point() or ids.dim() != 2 or not embeddings:
            continue
        trailing = ids[:, -1].eq(int(embeddings[0].padding_idx or 0)).double().mean()
        if float(trailing) > 0.1:
            yield embeddings[0], ids
