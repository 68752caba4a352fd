"""What a model was fed with: facts of a tensor, cheap and bounded."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from typing import Any, Final

import torch

from flightcheck.adapters.torch.features import alike_blanks, quantiles, row_hashes, token_facts
from flightcheck.adapters.torch.spacing import spacing_facts
from flightcheck.adapters.torch.watch import is_plain_tensor, recorded

_SAMPLE: Final = 4096
"""Elements that are hashed and counted: spread evenly over the whole tensor."""
_MOST_ELEMENTS: Final = 1_000_000
_MOST_ARGUMENTS: Final = 4
_COLOURS: Final = 3
_MOST_PIXELS: Final = 65_536
_DESCRIBED: Final = 64
"""Features whose mean and spread are recorded one by one: spread evenly over all of them."""


def tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors among a call's arguments, one level of dict, list or tuple deep; at most four."""
    found = 0
    for name, value in [*((str(i), a) for i, a in enumerate(args)), *kwargs.items()]:
        for inner, tensor in _inside(name, value):
            if found < _MOST_ARGUMENTS:
                found += 1
                yield inner, tensor


def _inside(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        yield from ((f"{name}.{k}", v) for k, v in value.items() if isinstance(v, torch.Tensor))
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}.{i}", v) for i, v in enumerate(value[:4]) if isinstance(v, torch.Tensor))


def digest_of(tensor: torch.Tensor) -> str:
    """A hash of the shape and of an even sample of at most 4096 values."""
    flat = tensor.detach().reshape(-1)
    stride = max(1, flat.numel() // _SAMPLE)
    sample = flat[::stride][:_SAMPLE].to("cpu")
    if sample.dtype is torch.bfloat16:
        sample = sample.float()
    return hashlib.blake2b(
        str(tuple(tensor.shape)).encode() + sample.contiguous().numpy().tobytes(), digest_size=8
    ).hexdigest()


def batch_facts(tensor: torch.Tensor, first: bool = False) -> dict[str, Any] | None:
    """Range, scale and per-feature scale of an input; None for what has no plain numbers.

    Of the `first` tensor of a call also which rows it holds, and how its values and features are spread.
    """
    if not is_plain_tensor(tensor) or not tensor.numel():
        return None
    values = tensor.detach()
    if values.numel() > _MOST_ELEMENTS and values.dim() > 0:
        per_row = values.numel() // values.shape[0]
        values = values[: max(1, _MOST_ELEMENTS // max(1, per_row))]
    x = values.float()
    finite = torch.isfinite(x)
    bad = int((~finite).sum())
    usable = x[finite] if bad else x
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.numel() // _SAMPLE)][:_SAMPLE]
    facts: dict[str, Any] = {
        "shape": list(tensor.shape),
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "digest": digest_of(tensor),
        "minimum": float(usable.min()) if usable.numel() else 0.0,
        "maximum": float(usable.max()) if usable.numel() else 0.0,
        "mean": float(usable.mean()) if usable.numel() else 0.0,
        "std": float(usable.std(correction=0)) if usable.numel() else 0.0,
        "nonfinite": bad,
        "zeros": float((x == 0).float().mean()),
        "distinct": int(torch.unique(sample).numel()),
        "requires_grad": tensor.requires_grad,
    }
    if tensor.is_floating_point() and not bad:
        facts |= _features(x, first) | spacing_facts(values)
    if tensor.dtype in (torch.int32, torch.int64) and (begins := _begins(values)) is not None:
        facts["begins"] = begins
    if first and not tensor.requires_grad:
        facts["rows"] = row_hashes(tensor)
        if 0 in facts["rows"]:
            facts["alike_blanks"] = alike_blanks(tensor)
        facts |= quantiles(x) if tensor.is_floating_point() and not bad else token_facts(tensor)
    return facts


def _begins(ids: torch.Tensor) -> int | None:
    """The token with which all rows begin: of ``(rows, …)``, or of one token of each row."""
    if ids.dim() not in (1, 2) or len(ids) < 2 or not ids.numel():
        return None
    firsts = ids if ids.dim() == 1 else ids[:, 0]
    return int(firsts[0]) if bool((firsts == firsts[0]).all()) else None


def _features(x: torch.Tensor, each: bool) -> dict[str, Any]:
    """Scale per feature: columns of 2-D inputs and last dimension of 3-D ones, channels of images.

    The extremes over all features, and, if `each` is wanted, mean and standard deviation of at most 64 of them.
    """
    if x.dim() < 2 or x.shape[0] < 8:
        return {}
    columns = x.transpose(0, 1).reshape(x.shape[1], -1) if x.dim() >= 4 else x.reshape(-1, x.shape[-1]).T
    mean, std = columns.mean(1), columns.std(1, correction=0)
    moving = std > 0
    facts: dict[str, Any] = {"feature_mean_max": float(mean.abs().max())}
    if each and x.dim() == 4 and x.shape[1] == _COLOURS:
        facts["colour_contrast"] = _contrast(columns)
    if each:
        stride = max(1, mean.numel() // _DESCRIBED)
        facts["feature_means"] = mean[::stride][:_DESCRIBED].tolist()
        facts["feature_stds"] = std[::stride][:_DESCRIBED].tolist()
    if bool(moving.any()):
        facts["feature_std_min"] = float(std[moving].min())
        facts["feature_std_max"] = float(std.max())
        facts["feature_offset_max"] = float((mean[moving].abs() / std[moving]).max())
    return facts


def _contrast(columns: torch.Tensor) -> float:
    """Correlation of the first channel with the second one, minus that of the second with the third."""
    related = torch.nan_to_num(torch.corrcoef(columns[:, :_MOST_PIXELS]))
    return float(related[0, 1] - related[1, 2])


_KEY: Final = 48
"""Values by which a batch is known again."""


def batch_key(tensor: torch.Tensor | None) -> Any:
    """A cheap identity of a tensor's values."""
    if tensor is None or not tensor.numel():
        return None
    if tensor.layout is torch.sparse_coo:
        return tuple(tensor.shape), batch_key(tensor.detach()._values())
    if not is_plain_tensor(tensor):
        return id(tensor)
    if not tensor.is_cpu and (recorded() or not tensor.is_contiguous()):
        return tuple(tensor.shape), id(tensor)
    flat = tensor.detach().reshape(-1)
    return tuple(tensor.shape), flat[_places(flat.numel()).to(flat.device)].tolist()


@functools.lru_cache(maxsize=64)
def _places(elements: int) -> torch.Tensor:
    """Where to look: steps of the golden ratio, which meet all columns of a matrix; even steps may meet only one."""
    return torch.tensor([int(i * 0.6180339887498949 % 1.0 * elements) for i in range(_KEY)])


def first_tensor(value: Any, depth: int = 0) -> torch.Tensor | None:
    """The first tensor in an output: itself, or inside tuples, lists, dicts and dataclasses."""
    if isinstance(value, torch.Tensor):
        return value
    if depth > 3:
        return None
    if isinstance(value, dict):
        items: Any = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = [getattr(value, f.name, None) for f in dataclasses.fields(value)]
    else:
        return None
    for item in items:
        found = first_tensor(item, depth + 1)
        if found is not None:
            return found
    return None
