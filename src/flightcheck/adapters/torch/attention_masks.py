"""What the masks of attention block: positions themselves, real tokens, padding."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.attention import AttentionMask
from flightcheck.recording.records import Location

ATTENTION: Final = {"multi_head_attention_forward", "scaled_dot_product_attention", "masked_fill", "masked_fill_"}
OPERATIONS: Final = ATTENTION | {"embedding"}
BLOCKED: Final = -1e4
"""Added to a score, this leaves nothing of it in half precision already."""
_MOST_CALLS: Final = 32
"""Per mask and line."""
_MOST_IDS: Final = 8


class AttentionMasks:
    """Looks at calls of attention in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._ids: list[torch.Tensor] = []
        """Token ids of this round."""
        self._known: dict[tuple[str, str, Location | None], AttentionMask] = {}

    def end_round(self) -> None:
        self._ids.clear()

    def look(self, name: str, args: Any, kwargs: Any) -> None:
        """One operation of `OPERATIONS`, called with gradients."""
        if not torch.is_grad_enabled():
            return
        if name == "embedding":
            ids = args[0] if args else kwargs.get("input")
            if isinstance(ids, torch.Tensor) and ids.dim() == 2 and len(self._ids) < _MOST_IDS:
                self._ids.append(ids)
            return
        if name.startswith("masked_fill") and not (args and getattr(args[0], "requires_grad", False)):
            return  # no scores of a model: masks are made in the same way
        for argument, mask in masks_of(name, args, kwargs).items():
            key = (name.rstrip("_"), argument, self.watch.lines.here())
            known = self._known.get(key) or AttentionMask(*key)
            if is_plain_tensor(mask) and known.calls < _MOST_CALLS:
                self._known[key] = self._seen(known, blocked_by(name, mask))

    def _seen(self, known: AttentionMask, blocked: torch.Tensor) -> AttentionMask:
        padding = self._padding_is_open(_over_keys(blocked, known.argument))
        return dataclasses.replace(
            known,
            calls=known.calls + 1,
            without_self=known.without_self + (known.function != "masked_fill" and _without_self(blocked, known)),
            padding_known=known.padding_known + (padding is not None),
            padding_open=known.padding_open + bool(padding),
        )

    def _padding_is_open(self, blocked: torch.Tensor | None) -> bool | None:
        """None where no token ids of this round tell which keys are padding."""
        for ids in [*self._ids, *(i.t() for i in self._ids)]:
            if blocked is None or ids.shape != blocked.shape or ids.device != blocked.device:
                continue
            for padding, is_open in ((~blocked, True), (blocked, False)):
                if is_padding(ids, padding):
                    return is_open
        return None

    def save(self) -> None:
        for i, mask in enumerate(self._known.values()):
            self.watch.writer.put(mask, i)


def masks_of(name: str, args: Any, kwargs: Any) -> dict[str, torch.Tensor]:
    """The masks of a call of attention, by the name of the argument; ``masked_fill`` must leave nothing."""
    if name == "multi_head_attention_forward":
        found = {n: kwargs.get(n) for n in ("attn_mask", "key_padding_mask")}
    elif name == "scaled_dot_product_attention":
        found = {"attn_mask": args[3] if len(args) > 3 else kwargs.get("attn_mask")}
    else:
        value = args[2] if len(args) > 2 else kwargs.get("value")
        scores, mask = args[0] if args else None, args[1] if len(args) > 1 else kwargs.get("mask")
        far = isinstance(value, (int, float)) and value <= BLOCKED
        found = {"mask": mask if far and isinstance(scores, torch.Tensor) and scores.dim() >= 3 else None}
    return {n: m for n, m in found.items() if isinstance(m, torch.Tensor) and m.dim() >= 2 and m.numel()}


def blocked_by(name: str, mask: torch.Tensor) -> torch.Tensor:
    """True where the mask lets nothing through: the two functions of PyTorch read a mask of booleans differently."""
    if mask.dtype is torch.bool:
        return ~mask if name == "scaled_dot_product_attention" else mask
    return mask.detach() <= BLOCKED


def _over_keys(blocked: torch.Tensor, argument: str) -> torch.Tensor | None:
    """The mask as one over the keys of each example: (batch, keys)."""
    if blocked.dim() == 2:
        return blocked if argument == "key_padding_mask" else None
    if blocked.dim() not in (3, 4):
        return None
    rows = blocked.flatten(1, -2)
    return rows[:, 0] if bool((rows == rows[:, :1]).all()) else None


def _without_self(blocked: torch.Tensor, known: AttentionMask) -> bool:
    length = blocked.shape[-1]
    if known.argument != "attn_mask" or blocked.shape[-2] != length or length < 3:
        return False
    itself = blocked.diagonal(dim1=-2, dim2=-1)
    return bool(itself.all()) and bool((~blocked).any()) and int(blocked.sum()) > itself.numel()


def is_padding(ids: torch.Tensor, where: torch.Tensor) -> bool:
    """These places, and no others, hold one and the same id; they end or begin each row, in different numbers."""
    if not bool(where.any()) or bool(where.all()):
        return False
    inside, outside = ids[where], ids[~where]
    first = inside.reshape(-1)[0]
    if bool((inside != first).any()) or bool((outside == first).any()) or bool((outside == outside[0]).all()):
        return False
    steps = where[:, 1:].int() - where[:, :-1].int()
    together = bool((steps >= 0).all()) or bool((steps <= 0).all())
    counts = where.sum(1)
    return together and bool((counts != counts[0]).any())
