"""Do the examples that a dataset holds stay what they were while loaders read them?"""

from __future__ import annotations

import dataclasses
import inspect
import weakref
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flightcheck.adapters.torch.datasets import underlying
from flightcheck.adapters.torch.held_data import Column, float_rows
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.written_examples import writes_into_examples
from flightcheck.recording.stored_examples import StoredExamples

_ROWS: Final = 48
"""Of an array that are copied: after one pass all of them were read."""
_MOST_VALUES: Final = 1_000_000
_MOST_DATASETS: Final = 8

Rows = npt.NDArray[np.float64]


@dataclasses.dataclass
class _Held:
    dataset: weakref.ref[Any]
    at: dict[str, npt.NDArray[np.int64]]
    before: dict[str, Rows]
    found: dict[str, StoredExamples]
    passes: int = 1


class ExamplesInPlace:
    """Copies a few rows of each dataset, and looks at them again when another pass begins, and at the end."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._held: dict[int, _Held] = {}

    def opened(self, source: int, dataset: Any) -> None:
        """A pass over dataset number `source` begins."""
        held = self._held.get(source)
        if held is not None:
            held.passes += 1
            if held.passes & (held.passes - 1) == 0:  # the 2nd, 4th, 8th …: some scripts begin a pass for each batch
                self._look(held)
            return
        if source < 0 or len(self._held) >= _MOST_DATASETS:
            return
        columns = float_rows(dataset)
        at = {n: np.unique(np.linspace(0, c.length - 1, _ROWS).astype(np.int64)) for n, c in columns.items()}
        before = {n: _read(c, at[n]) for n, c in columns.items() if c.row_bytes * len(at[n]) <= 8 * _MOST_VALUES}
        found = {n: StoredExamples(source, n, len(r), before=_spread(r)) for n, r in before.items()}
        try:
            self._held[source] = _Held(weakref.ref(dataset), at, before, found)
        except TypeError:  # a list: nothing tells whether it lives
            return

    def _look(self, held: _Held) -> None:
        dataset = held.dataset()
        columns = float_rows(dataset) if dataset is not None and held.found else {}
        for name, info in held.found.items():
            column, before = columns.get(name), held.before[name]
            if column is None or info.changed == info.rows:
                continue
            now = _read(column, held.at[name]) if column.length > held.at[name][-1] else before[:0]
            if now.shape != before.shape:
                continue
            other = ~np.isclose(now, before, rtol=1e-6, atol=0, equal_nan=True)
            changed = int(other.reshape(len(now), -1).any(1).sum())
            held.found[name] = dataclasses.replace(
                info, changed=changed, after=_spread(now), step=info.step if info.changed else self.watch.step
            )

    def save(self) -> None:
        """Write what changed."""
        index = 0
        for held in self._held.values():
            self._look(held)
            dataset = held.dataset()
            for info in held.found.values():
                if info.changed and dataset is not None:
                    self.watch.writer.put(dataclasses.replace(info, location=self._line(dataset)), index)
                    index += 1

    def _line(self, dataset: Any) -> Any:
        """Where the dataset's class, or one that it inherits from, writes into an example."""
        for cls in type(underlying(dataset)).__mro__:
            try:
                file = inspect.getsourcefile(cls)
            except TypeError:  # built in
                continue
            if file is None or not self.watch.lines.is_user(file):
                continue
            if (found := writes_into_examples(file, cls.__name__)) is not None:
                return self.watch.lines.of(*found)
        return None


def _spread(rows: Rows) -> float:
    """The standard deviation of the values that are there; 0 where none is."""
    there = rows[np.isfinite(rows)]
    return float(there.std()) if there.size else 0.0


def _read(column: Column, at: npt.NDArray[np.int64]) -> Rows:
    values = column.read(at)
    return np.array(values, dtype=np.float64)  # a copy, also of views
