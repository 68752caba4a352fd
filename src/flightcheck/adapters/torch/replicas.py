"""Parameters that all ranks of a distributed training hold: are they still the same?

Each rank writes hashes of its own values at the same few steps. Nothing is communicated: a collective operation of ours
would hang where a rank is missing.
"""

from __future__ import annotations

import hashlib
import math
import weakref
from typing import Any, Final

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.ranks import ReplicaDigests
from flightcheck.recording.records import Location

_SAMPLE: Final = 1024
"""Elements of a parameter that are looked at: what makes ranks differ touches whole tensors."""
_MOST_BUCKETS: Final = 256
_EVERY: Final = 200
_MOST_LOOKS: Final = 32
_PLAIN_HOOKS: Final = {"fp16_compress_hook", "bf16_compress_hook", "allreduce_hook"}
"""What may be hooked into the reduction: these give the same result to all ranks."""


class Replicas:
    """The replicated parameters of this rank."""

    def __init__(self, watch: Watch, discovery: Discovery, rank: int, ranks: int) -> None:
        self.watch = watch
        self.discovery = discovery
        self.rank = rank
        self.ranks = ranks
        self.reduced: dict[int, weakref.ref[torch.Tensor]] = {}
        """Parameters whose gradients the script sums over all ranks, by their index."""
        self.reduced_at: Location | None = None
        self.averaged = False
        self._wrappers: list[weakref.ref[Any]] = []
        self._look_safely = watch.guarded(self._look)
        self._looked = -1
        self._synchronized = True
        self._unsynchronized = 0
        self.digests: ReplicaDigests | None = None
        """What was recorded so far."""
        self._addresses: tuple[int, dict[int, int], set[int]] = (-1, {}, set())

    def before_backward(self) -> None:
        """A backward is about to run. Steps, broadcasts and averaging of the round before are over on every rank."""
        if self.ranks < 2:
            return
        step = self.watch.step
        if step != self._looked:
            self._unsynchronized += bool(not self._synchronized and self._looked >= 0)
            self._looked, self._synchronized = step, not self._wrappers
            if step & (step - 1) == 0 or step % _EVERY == 0:
                self._look_safely(step)
        self._synchronized |= any((w := ref()) is not None and w.require_backward_grad_sync for ref in self._wrappers)

    def all_reduced(self, tensor: torch.Tensor, whole: bool) -> None:
        """The script sums a tensor over ranks: is it a gradient, or a parameter?"""
        if not isinstance(tensor, torch.Tensor) or not is_plain_tensor(tensor):
            return
        gradients, parameters = self._known() if self.watch.learning else ({}, self._addresses[2])
        index = gradients.get(tensor.data_ptr())
        if index is not None and whole and tensor.numel() == self._size(index):
            self.reduced[index] = self.discovery.parameter_refs[index]
            self.reduced_at = self.reduced_at or self.watch.lines.here()
        self.averaged |= tensor.data_ptr() in parameters and self.watch.step > 0

    def _size(self, index: int) -> int:
        parameter = self.discovery.parameter_refs[index]()
        return parameter.numel() if parameter is not None else -1

    def _known(self) -> tuple[dict[int, int], set[int]]:
        """Addresses of the gradients (with their parameter's index) and of the parameters, in this round."""
        if self._addresses[0] != self.watch.step:
            living = [(i, p) for i, ref in enumerate(self.discovery.parameter_refs) if (p := ref()) is not None]
            plain = [(i, p) for i, p in living if is_plain_tensor(p)]
            gradients = {p.grad.data_ptr(): i for i, p in plain if p.grad is not None and is_plain_tensor(p.grad)}
            self._addresses = self.watch.step, gradients, {p.data_ptr() for _, p in plain}
        return self._addresses[1:]

    # -- looking ------------------------------------------------------------------------------------------------

    def _look(self, step: int) -> None:
        found = self._replicated()
        if found is None:
            return
        named, first = found
        width = -(-len(named) // _MOST_BUCKETS)
        buckets = [named[i : i + width] for i in range(0, len(named), width)]
        names = [b[0][0] for b in buckets]
        if self.digests is None or self.digests.names != names:
            known = {id(p) for ref in self._wrappers if (w := ref()) is not None for p in _known_to(w)}
            late = [i for i, b in enumerate(buckets) if known and any(id(p) not in known for _, p in b)]
            place = self._place(buckets[late[0]][0][1]) if late else None
            self.digests = _with(first, names=names, late=late, late_location=place)
        digests = self.digests
        values = [[_sample(p) for _, p in b] for b in buckets]
        flat = torch.cat([s for b in values for s in b])
        numbers = torch.split_with_sizes(flat, [sum(map(len, b)) for b in values])
        digests.steps.append(step)
        digests.hashes.append([_hash(n) for n in numbers])
        digests.means.append([_rounded(n.mean()) for n in numbers])
        digests.sizes.append([_rounded(n.abs().mean()) for n in numbers])
        if len(digests.steps) > _MOST_LOOKS:  # the same ones on every rank
            for series in (digests.steps, digests.hashes, digests.means, digests.sizes):
                del series[_MOST_LOOKS // 2]
        self._write()

    def _replicated(self) -> tuple[list[tuple[str, torch.Tensor]], ReplicaDigests] | None:
        """The parameters that are to be equal, by name, and an empty record of them."""
        if not (torch.distributed.is_initialized() and torch.distributed.get_world_size() == self.ranks):
            return None
        wrappers = [w for w in self.discovery.built if isinstance(w, DistributedDataParallel) and _plain(w, self.ranks)]
        self._wrappers = [weakref.ref(w) for w in wrappers]
        named: dict[int, tuple[str, torch.Tensor]] = {}
        for i, wrapper in enumerate(wrappers):
            ignored = set(getattr(wrapper, "parameters_to_ignore", ()))
            for name, parameter in wrapper.module.named_parameters():
                if name not in ignored and _readable(parameter):
                    named.setdefault(id(parameter), (name if len(wrappers) == 1 else f"{i}.{name}", parameter))
        if named:
            built = self.discovery.built.get(wrappers[0])
            record = ReplicaDigests(self.rank, "ddp", location=built.location if built else None)
            return list(named.values()), record
        reduced = [(i, p) for i, ref in sorted(self.reduced.items()) if (p := ref()) is not None and _readable(p)]
        if not reduced:
            return None
        record = ReplicaDigests(self.rank, "reduced", location=self.reduced_at)
        return [(self.discovery.parameters[i].name, p) for i, p in reduced], record

    def _place(self, parameter: torch.Tensor) -> Location | None:
        index = self.discovery.parameter_index(parameter)
        module = self.discovery.modules.get(self.discovery.parameters[index].module) if index is not None else None
        return module.location if module is not None else None

    def _bypass(self) -> Location | None:
        """The call of a wrapped model in training whose wrapper was never called in training."""
        roots = self.discovery.roots
        for ref in self._wrappers:
            wrapper = ref()
            outer, inner = (roots.get(id(w)) for w in (wrapper, wrapper.module)) if wrapper is not None else (None,) * 2
            if inner is not None and inner.train_calls and not (outer is not None and outer.train_calls):
                return inner.call_location
        return None

    def _write(self) -> None:
        if self.digests is not None:
            self.digests = _with(
                self.digests, bypass=self._bypass(), unsynchronized=self._unsynchronized, averaged=self.averaged
            )
            self.watch.writer.put(self.digests, self.rank)

    def save(self) -> None:
        """Write what is known at the end."""
        self._write()


def _with(digests: ReplicaDigests, **changes: Any) -> ReplicaDigests:
    return ReplicaDigests(**{**vars(digests), **changes})


def _plain(wrapper: Any, ranks: int) -> bool:
    """It keeps the parameters equal on all ranks: no group of its own, no reduction that does something else."""
    hooks = {getattr(hook, "__name__", "") for hook, _ in getattr(wrapper, "_comm_hooks", ())}
    return bool(torch.distributed.get_world_size(wrapper.process_group) == ranks and hooks <= _PLAIN_HOOKS)


def _known_to(wrapper: nn.Module) -> list[torch.Tensor]:
    return list(getattr(wrapper, "_module_parameters", ()))


def _readable(parameter: torch.Tensor) -> bool:
    """A whole tensor of floating-point numbers; a part of one, spread over the ranks, is another class."""
    plain = type(parameter) in (nn.Parameter, torch.Tensor) and is_plain_tensor(parameter)
    return plain and parameter.is_floating_point() and parameter.numel() > 0


def _sample(parameter: torch.Tensor) -> torch.Tensor:
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // _SAMPLE)][:_SAMPLE].cpu().double() + 0.0  # no negative zero


def _hash(values: torch.Tensor) -> str:
    if not bool(torch.isfinite(values).all()):
        return ""
    return hashlib.blake2b(values.numpy().tobytes(), digest_size=8).hexdigest()


def _rounded(value: torch.Tensor) -> float:
    number = float(value)
    return float(f"{number:.10g}") if math.isfinite(number) else 0.0
