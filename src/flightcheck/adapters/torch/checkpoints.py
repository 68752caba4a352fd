"""Weights that were to come from a checkpoint: did ``load_state_dict`` put any into the model?

Of every tensor only its shape and sixteen of its values are kept, so that no checkpoint is held in memory.
"""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.averages import Averages
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.kept_states import KeptStates
from flightcheck.adapters.torch.loaded_weights import LoadedWeights
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.resumption import Resumptions
from flightcheck.adapters.torch.saved_weights import SavedFiles
from flightcheck.adapters.torch.tensor_prints import Print, print_of, prints_of, tables_of
from flightcheck.adapters.torch.thrown_back import ThrownBack
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.states import StateLoad

_MOST_LOADS: Final = 64
_MOST_FILES: Final = 4
_LONGEST_PREFIX: Final = 3
"""Segments of a name that may be the prefix: ``model.``, ``module.encoder_q.`` …"""


@dataclass
class _Pending:
    """A load whose effect is told when training begins: a later load, or a copy by hand, may fill what is missing."""

    record: StateLoad
    module: weakref.ref[nn.Module]
    unfilled: dict[str, tuple[weakref.ref[torch.Tensor], Print]]
    source: dict[str, Print]


class Checkpoints:
    """Files that were read and written, and the loads of modules."""

    def __init__(self, watch: Watch, discovery: Discovery, operations: Operations) -> None:
        self.watch = watch
        self.discovery = discovery
        self._files: list[tuple[Location | None, dict[str, Print]]] = []
        self._pending: list[_Pending] = []
        self._loads = 0
        self.resumptions = Resumptions(watch, discovery)
        self.weights = LoadedWeights(watch, discovery, operations)
        self.averages = Averages(watch, discovery)
        self.kept = KeptStates(watch, discovery)
        self.files = SavedFiles(watch)
        self.thrown_back = ThrownBack(watch, discovery)
        operations.looked = self.averages.looked

    def read(self, value: Any, location: Location | None) -> None:
        """`value` came from a file: remember the tables of tensors inside it."""
        tables = [prints_of(table.items()) for table in list(tables_of(value))[:8]]
        self._files.extend((location, table) for table in tables)
        del self._files[: -2 * _MOST_FILES]
        self.resumptions.read(value, location, {p for table in tables for p in table.values() if p[1]})

    def before_load(self, module: nn.Module) -> dict[str, Print]:
        """The module is about to be given a state: what its matrices are now."""
        if self._loads >= _MOST_LOADS:
            return {}
        return prints_of((n, p) for n, p in module.named_parameters() if p.dim() > 1)

    def after_load(self, module: nn.Module, state: Any, strict: bool, before: dict[str, Print]) -> None:
        """The module was given `state`."""
        self.kept.loaded(module, state)
        if self._loads >= _MOST_LOADS or not isinstance(state, Mapping):
            return
        self._loads += 1
        self.averages.loaded(module, state)
        self.thrown_back.loaded(module, state, before)
        parameters = dict(module.named_parameters())
        unfilled: dict[str, tuple[weakref.ref[torch.Tensor], Print]] = {
            name: (weakref.ref(parameters[name]), seen)
            for name, seen in before.items()
            if name in parameters and print_of(parameters[name]) == seen
        }
        given = prints_of((k, v) for k, v in state.items() if isinstance(v, torch.Tensor) and isinstance(k, str))
        names = set(parameters).union(n for n, _ in module.named_buffers())
        source, file = {k: v for k, v in given.items() if k not in names}, None
        if not source and len(unfilled) == len(before):
            file, source = self._filtered(unfilled)
        record = StateLoad(
            index=self._loads - 1,
            location=self.watch.lines.here(),
            type=type(module).__name__,
            strict=strict,
            given=len(given),
            matched=sum(name in names for name in given),
            matrices=len(before),
            nested="" if given else _nested(state, names),
            from_file=file,
            step=self.watch.step,
        )
        self._pending.append(_Pending(record, weakref.ref(module), unfilled, source))

    def _filtered(self, unfilled: dict[str, Any]) -> tuple[Location | None, dict[str, Print]]:
        """The load changed nothing: the latest file whose tensors have the names of the module behind a prefix."""
        wanted = {name: seen for name, (_, seen) in unfilled.items()}
        for location, table in reversed(self._files):
            prefixes = renaming(wanted, table)
            if prefixes is not None:
                return location, table
        return None, {}

    def state_taken(self, module: nn.Module, state: Any) -> None:
        """``state_dict()`` returned a state."""
        self.weights.state_taken(module)
        self.kept.state_taken(module, state)

    def save(self) -> None:
        """The training is over."""
        self.files.save()
        self.settle()
        self.averages.save()
        self.thrown_back.save()
        self.kept.save(self.discovery.files())

    def called(self, module: nn.Module) -> None:
        """A model is about to be called."""
        self.weights.called(module)
        self.averages.called(module)

    def before_step(self, held: Held) -> None:
        """An optimizer is about to step."""
        self.settle()
        self.weights.before_step(held)
        self.averages.before_step(held)
        self.kept.before_step(held)
        self.resumptions.stepping(held)

    def settle(self) -> None:
        """Training begins, goes on, or is over: write what the loads since then did."""
        if not self._pending and not self._files:
            return
        for pending in self._pending:
            self.watch.writer.put(self._judged(pending), pending.record.index)
        self._pending.clear()
        self._files.clear()

    def _judged(self, pending: _Pending) -> StateLoad:
        module = pending.module()
        wanted = {
            name: seen
            for name, (ref, seen) in pending.unfilled.items()
            if (parameter := ref()) is not None and print_of(parameter) == seen
        }
        record = dataclasses.replace(
            pending.record,
            unfilled=len(wanted),
            whole=module is not None and id(module) in self.discovery.roots,
            renamed=_renamed(wanted, pending.source),
        )
        found = renaming(wanted, pending.source)
        if module is None or found is None:
            return record
        strip, add, names = found
        sizes = {n: p.numel() for n, p in module.named_parameters() if p.dim() > 1}
        return dataclasses.replace(
            record,
            misnamed=len(names),
            misnamed_share=sum(sizes.get(n, 0) for n in names) / max(1, sum(sizes.values())),
            source_prefix=strip,
            module_prefix=add,
            example=strip + names[0].removeprefix(add),
        )


def renaming(wanted: dict[str, Print], source: dict[str, Print]) -> tuple[str, str, list[str]] | None:
    """The change of a prefix under which most of the matrices in `source` become those that are wanted.

    Returns:
        The prefix in the source, the one that is wanted, and the wanted names it reaches whose shapes agree and whose
        values differ; None if fewer than two matrices, or fewer than half of the source's, are reached by any.
    """
    matrices = {name: seen for name, seen in source.items() if len(seen[0]) > 1}
    best: tuple[str, str, list[str]] | None = None
    for strip in _prefixes(matrices):
        for add in _prefixes(wanted):
            if strip == add:
                continue
            here = {name: add + name.removeprefix(strip) for name in matrices if name.startswith(strip)}
            names = [new for old, new in here.items() if new in wanted and _another(wanted[new], matrices[old])]
            if len(names) < 2 or len(names) * 2 < len(here):
                continue
            if best is None or (len(names), -len(strip + add)) > (len(best[2]), -len(best[0] + best[1])):
                best = strip, add, names
    return best


def _nested(state: Mapping[Any, Any], names: set[str]) -> str:
    """The key of a state within the state, most of whose names are those of the module; empty if there is none."""
    for key, value in list(state.items())[:16]:
        held = [k for k, v in value.items() if isinstance(v, torch.Tensor)] if isinstance(value, Mapping) else []
        if len(held) > 1 and 2 * sum(k in names for k in held) > len(held):
            return str(key)
    return ""


def _renamed(wanted: dict[str, Print], source: dict[str, Print]) -> int:
    """How many matrices are wanted, if those in the source have just their shapes, in the same order, in all."""
    there = [seen for seen in source.values() if len(seen[0]) > 1]
    alike = len(there) == len(wanted) and all(map(_another, wanted.values(), there))
    return len(there) if alike and len({shape for shape, _ in there}) > 1 else 0


def _another(one: Print, other: Print) -> bool:
    """Of one shape, and with other values; a change of precision makes none."""
    close = all(math.isclose(a, b, rel_tol=0.01, abs_tol=1e-6) for a, b in zip(one[1], other[1]))
    return one[0] == other[0] and not close


def _prefixes(names: Iterable[str]) -> list[str]:
    """The beginnings, of up to three segments, that several names share; the empty one first."""
    counts: dict[str, int] = {}
    for name in names:
        parts = name.split(".")
        for depth in range(1, min(_LONGEST_PREFIX, len(parts) - 1) + 1):
            prefix = ".".join(parts[:depth]) + "."
            counts[prefix] = counts.get(prefix, 0) + 1
    common = sorted((p for p, n in counts.items() if n > 1), key=lambda p: -counts[p])
    return ["", *common[:16]]
