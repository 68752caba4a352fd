"""Tensors that are known again, without being kept alive."""

from __future__ import annotations

import weakref
from typing import Any, Final

import torch

_MOST: Final = 400


class Remembered:
    """A set of tensors by identity; who is gone is not mistaken for whoever has its place."""

    def __init__(self) -> None:
        self._held: dict[int, weakref.ref[torch.Tensor]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def __contains__(self, tensor: object) -> bool:
        held = self._held.get(id(tensor))
        return held is not None and held() is tensor

    def add(self, tensor: Any) -> None:
        """Know this one again; anything but a plain tensor is passed over, and so is what would be too much."""
        if type(tensor) is torch.Tensor and len(self._held) < _MOST:
            self._held[id(tensor)] = weakref.ref(tensor)

    def forget(self) -> None:
        """Those that are gone."""
        self._held = {i: held for i, held in self._held.items() if held() is not None}

    def clear(self) -> None:
        """All of them."""
        self._held.clear()
