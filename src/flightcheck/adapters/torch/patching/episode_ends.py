"""Patch of targets that count what would come after the end of an episode."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from flightcheck.adapters.torch.batches import first_tensor, tensors_in
from flightcheck.adapters.torch.episode_ends import EpisodeEnds
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.similarities import FACTORS
from flightcheck.patch import Patch


def episode_end(b: Boundaries, patch: Patch) -> None:
    """``episode-end:train.py:90,train.py:55,0,1``: at a line, values of rows whose flag is 1 are none.

    The flag is the first (0) of the vectors that the second line fetches.
    """
    place, flag_place, number, end = patch.value.split(",")
    flag_file, _, flag_line = flag_place.rpartition(":")
    ends = EpisodeEnds(b.observer.watch)

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        ends.returned([t for _, t in tensors_in(*given)], first_tensor(result))
        return result

    def masked(name: str, args: Any, result: Any) -> Any:
        concerned = name in FACTORS and isinstance(result, torch.Tensor) and b.is_at(place)
        if not concerned or not any(map(ends.is_value, args[:2])):
            return result
        flag = ends.flag_at(flag_file, int(flag_line), int(number), len(result))
        if flag is None:
            return result
        b.acted(patch)
        goes_on = (flag.reshape(-1) != int(end)).to(result)
        return result * goes_on.reshape(len(result), *[1] * (result.dim() - 1))

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        if b.observer.forward.depth:
            return result
        with b.unwatched():
            result = masked(name, given[0], result)
            ends.look(name, *given, result)
        return result

    b.at_root(root)
    b.at_operations(operation)
    b.after_backward(ends.end_round)
