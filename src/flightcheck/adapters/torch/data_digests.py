"""Which data a training was given: digests of datasets, and of tensors from which the script picks its batches."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch

from flightcheck.adapters.torch.held_data import digest_facts, table_facts
from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.inputs import DatasetInfo

FETCHES: Final = {"__getitem__", "index_select", "narrow", "split", "chunk", "take_along_dim"}
"""Operations that pick rows."""
Columns: TypeAlias = dict[str, torch.Tensor]

_ROUNDS: Final = 8
"""Rounds after which inputs are told without targets, if those come from nowhere that is known."""
_MOST_LINKS: Final = 4


class Tables:
    """Tensors with one row per example, from which the script picks batches by hand: known as such where training
    steps are fed from the same one again.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._origins: ByIdentity[list[weakref.ref[torch.Tensor]]] = ByIdentity()
        """What was picked, or computed row by row from it → what it was picked from, and that from what, and so on."""
        self._last_fed: dict[str, list[weakref.ref[torch.Tensor]]] = {}
        """Per role: the tensors behind the batch that was fed before."""
        self._found: dict[str, weakref.ref[torch.Tensor]] = {}
        self._rounds = 0
        self.tables: Callable[[str, Columns, Columns], None] = lambda role, columns, origins: None
        """Told the tensors of a part of the data, once, and those from which they were picked."""
        self._told: set[str] = set()

    def look(self, name: str, args: Any, result: Any) -> None:
        """An operation outside of any module returned."""
        source = args[0] if args else None
        if not isinstance(source, torch.Tensor) or source.requires_grad or not source.dim():
            return
        before = self._origins.get(source) or []
        if name in FETCHES:
            for part in result if isinstance(result, tuple) else (result,):
                if isinstance(part, torch.Tensor) and part.dim():
                    self._origins[part] = [weakref.ref(source), *before][:_MOST_LINKS]
        elif (
            before
            and isinstance(result, torch.Tensor)
            and result is not source
            and result.shape[:1] == source.shape[:1]
        ):
            self._origins[result] = before  # an augmentation, another type, another device

    def fed(self, tensor: torch.Tensor, training: bool) -> None:
        """A model was called on a tensor that no loader gave."""
        self._fed("training" if training else "evaluation", tensor)

    def answered(self, target: torch.Tensor) -> None:
        """A loss was called on these targets, in training."""
        self._fed("targets", target)

    def end_round(self) -> None:
        """Tell the tables that are known by now: their values may be changed in place later on."""
        self._rounds += 1
        if self._rounds < _ROUNDS and not {"training", "targets"} <= set(self._found):
            return
        for role in ("training", "evaluation"):
            table = self._found[role]() if role in self._found else None
            if table is None or role in self._told:
                continue
            self._told.add(role)
            columns = {"inputs": table}
            targets = self._found["targets"]() if role == "training" and "targets" in self._found else None
            if targets is not None and targets is not table and len(targets) == len(table):
                columns["targets"] = targets
            self.tables(role, columns, {n: self._before(t) for n, t in columns.items()})

    def _before(self, table: torch.Tensor) -> torch.Tensor:
        """The tensor of the same length from which a table was picked, or the table itself."""
        behind = self._origins.get(table)
        origin = behind[0]() if behind else None
        return origin if origin is not None and len(origin) == len(table) else table

    def _fed(self, role: str, tensor: torch.Tensor) -> None:
        looked = self.watch.learning or role == "evaluation"
        if role in self._found or not looked or not is_plain_tensor(tensor):
            return
        behind = [weakref.ref(tensor), *(self._origins.get(tensor) or [])]
        before = {id(t) for r in self._last_fed.get(role, []) if (t := r()) is not None}
        again = next((r for r in behind if (t := r()) is not None and t.dim() and id(t) in before), None)
        if again is not None:
            self._found[role] = again
        self._last_fed[role] = behind


class DataDigests:
    """The digests of all parts of the data, taken when a part is first used."""

    def __init__(self, watch: Watch, tables: Tables) -> None:
        self.watch = watch
        self._of_source: dict[int, dict[str, Any]] = {}
        self._by_hand: dict[str, dict[str, Any]] = {}
        self._known: ByIdentity[dict[str, Any]] = ByIdentity()
        self._on = True
        tables.tables = self._picked

    def off(self) -> None:
        """Read no data from now on."""
        self._on = False

    def opened(self, source: int, dataset: Any) -> None:
        """A loader of a dataset that was not seen before begins to give batches."""
        if not self._on:
            return
        facts = self._known.get(dataset)
        if facts is None:
            facts = _read(digest_facts, dataset)
            try:
                self._known[dataset] = facts
            except TypeError:  # a list: nothing can be known of it later
                pass
        self._of_source[source] = facts

    def _picked(self, role: str, columns: Columns, origins: Columns) -> None:
        if not self._on:
            return
        facts = self._by_hand[role] = _read(table_facts, columns)
        if any(origins[n] is not t for n, t in columns.items()):
            before = _read(table_facts, origins)
            if before.get("digest") == facts.get("digest"):  # the same examples, only shuffled: in their first order
                self._by_hand[role] = before

    def save(self, infos: list[DatasetInfo]) -> None:
        """Write the records: of each dataset the first that a line's loader was given, and all that differ from it."""
        index, seen = 0, set()
        for source, facts in sorted(self._of_source.items()):
            info = infos[source]
            role = "training" if info.trained else "evaluation" if info.evaluated else ""
            same = info.loader, role, facts.get("digest", "")
            if same not in seen:
                seen.add(same)
                self.watch.writer.put(DataDigest(index, role, source, **facts), index)
                index += 1
        for role, facts in sorted(self._by_hand.items(), reverse=True):
            self.watch.writer.put(DataDigest(index, role, **facts), index)
            index += 1


def _read(facts: Callable[[Any], dict[str, Any]], data: Any) -> dict[str, Any]:
    try:
        return facts(data)
    except Exception as e:  # an array on a disk that is gone, an exotic type: the data are then not known
        return {"unknown": f"the examples could not be read ({type(e).__name__}: {e})"}
