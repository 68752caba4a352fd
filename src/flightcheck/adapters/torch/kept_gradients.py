"""Tensors that the script updates by hand: is the gradient of an update gone when the next backward begins?"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Final

import torch

from flightcheck.adapters.torch.shards import at_hand
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.kept_gradients import KeptGradients as Record

_MOST: Final = 16


class KeptGradients:
    """Follows the leaves of losses that no optimizer holds, in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.carried = self.cleared = 0
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}
        self._left: dict[int, tuple[int, int]] = {}
        """Tensor → address and version of its gradient when the last backward began."""

    def used(self, leaves: Iterable[torch.Tensor], most: int | None = _MOST) -> list[torch.Tensor]:
        """Backward is about to be called on a loss with these leaves.

        Args:
            leaves: of the loss, none that an optimizer holds.
            most: so many of them are looked at, the smallest.

        Returns:
            Those whose values changed since the last call while their gradient of that time is still there.
        """
        small = sorted((t for t in leaves if is_plain_tensor(t) and t.is_floating_point()), key=lambda t: t.numel())
        changed, still = 0, []
        for t in small[:most]:
            known = self._known.get(id(t))
            if not self.watch.reads(t):
                continue
            if known is not None and known[0]() is t and not torch.equal(known[1], t.detach()):
                changed += 1
                gradient = at_hand(t.grad)
                if gradient is not None and bool(torch.count_nonzero(gradient.detach())):
                    still += [] if self._is_damped(id(t), gradient) else [t]
            self._known[id(t)] = weakref.ref(t), t.detach().clone()
        if len(self._known) > 4 * _MOST:
            self._known = {k: v for k, v in self._known.items() if v[0]() is not None}
        self.carried += bool(still)
        self.cleared += bool(changed) and not still
        return still

    def _is_damped(self, of: int, gradient: torch.Tensor) -> bool:
        """The script wrote into the gradient: since the last backward began, which adds once, it changed twice or more.

        What is left is then a momentum that is kept where the next gradient is added.
        """
        before = self._left.get(of, (0, 0))
        now = self._left[of] = gradient.data_ptr(), gradient._version
        return now[0] == before[0] and now[1] > before[1] + 1

    def save(self) -> None:
        """Write the record."""
        if self.carried or self.cleared:
            self.watch.writer.put(Record(0, len(self._known), self.carried, self.cleared), 0)
