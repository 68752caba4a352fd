"""Parameters that are spread over the processes of a training (FSDP2, tensor parallelism): a `DTensor` on each.

Of these, only what lies in this process is read. Any operation on the whole would communicate, and an operation of ours
that one rank does and another one does not makes both wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from flightcheck.adapters.torch.discovery import Discovery


def is_shard(tensor: Any) -> bool:
    """It is spread over processes."""
    return isinstance(getattr(tensor, "_local_tensor", None), torch.Tensor)


def local(tensor: Any) -> Any:
    """The part that lies in this process, of any tensor."""
    return tensor._local_tensor if is_shard(tensor) else tensor


def given_back(tensor: torch.Tensor) -> bool:
    """Its memory was given back for the time being, as FSDP does between two uses: reading it ends the process."""
    return tensor.numel() > 0 and tensor.device.type != "meta" and tensor.untyped_storage().size() == 0


def at_hand(tensor: Any) -> Any:
    """The part of a tensor that lies in this process and has memory, None where there is none."""
    if tensor is None or tensor.layout is not torch.strided or tensor.is_nested:
        return tensor
    part = local(tensor)
    return None if given_back(part) else part


def note_wholes(discovery: Discovery) -> None:
    """While it computes, FSDP puts a tensor in the place of each shard, and that is what the graph leads to: it is the
    same parameter.
    """
    for root in list(discovery.roots.values()):
        model = root.module()
        for module in model.modules() if model is not None else ():
            for shard, whole in _pairs(module):
                index = discovery.parameter_index(shard)
                if index is not None and discovery.parameter_index(whole) is None:
                    discovery.same_parameter(whole, index)


def _pairs(module: nn.Module) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shards and the tensors that stand for them, of the group of parameters that a module brings together."""
    state = getattr(module, "_get_fsdp_state", None)
    if state is None:
        return
    for group in getattr(state(), "_fsdp_param_groups", None) or [getattr(state(), "_fsdp_param_group", None)]:
        for held in getattr(group, "fsdp_params", ()):
            whole = getattr(held, "_unsharded_param", None)
            if isinstance(whole, torch.Tensor):
                yield held.sharded_param, whole
