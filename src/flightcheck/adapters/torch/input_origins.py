"""Where the source says that the input of a model comes from; each line of the script is read once."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from flightcheck.adapters.torch.orders import recorded_orders
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording import provenance
from flightcheck.recording.data_files import DataFile
from flightcheck.recording.provenance.buffers import integer_buffer, made_float
from flightcheck.recording.provenance.callers import Callers
from flightcheck.recording.provenance.cut_vocabularies import only_cut
from flightcheck.recording.provenance.given_names import given_names
from flightcheck.recording.provenance.numbering_functions import numbered_in_each_call
from flightcheck.recording.provenance.standardizing import only_scaling
from flightcheck.recording.provenance.stop_words import negations_left_out
from flightcheck.recording.records import Location

Origin: TypeAlias = dict[str, Any]
"""Fields of `flightcheck.recording.batches.Batch`."""
_OF_FILES: Final = {
    "scaling": only_scaling, "cut": only_cut, "numbering": numbered_in_each_call, "negations": negations_left_out,
}  # fmt: skip
_DEEPEST: Final = 5
"""Lines of the stack: who asked for the call of a model is rarely farther away."""


class InputOrigins:
    """The lines behind the inputs of each line that calls a model."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._known: dict[tuple[Location, Callers], Origin] = {}
        self._training: dict[Location, Origin] = {}
        self._files: set[str] = set()

    def of_training(self, location: Location | None) -> Origin:
        """The lines of a training call's input, as `Batch` has them; empty where the call has no line.

        Followed along the calls that led to the line the first time: they stay the same.
        """
        if location is None:
            return {}
        known = self._training.get(location)  # a location is hashed in Python: once
        if known is None:
            known = self._training[location] = self.of(location, self.callers(location))
        return known

    def of(self, location: Location | None, callers: Callers) -> Origin:
        """The same of a line that was reached by these calls."""
        if location is None:
            return {}
        key = location, callers
        if key not in self._known:
            self._known[key] = self._read(location, callers)
        return self._known[key]

    def callers(self, location: Location | None) -> Callers:
        """The lines on the stack that led to a line which runs now, the innermost first."""
        stack = [(at.file, at.line) for at in self._watch.lines.stack(_DEEPEST)]
        here = (location.file, location.line) if location is not None else None
        return tuple(stack[stack.index(here) + 1 :]) if here in stack else ()

    def _note_file(self, file: str) -> None:
        """Write the lines that a file has one of; the whole file is read for them, so once."""
        if file in self._files:
            return
        self._files.add(file)
        found = {name: place for name, look in _OF_FILES.items() if (place := look(file)) is not None}
        lines = {name: self._watch.lines.of(*place) for name, place in found.items()}
        if lines:
            self._watch.writer.put(DataFile(len(self._files) - 1, file, **lines), len(self._files) - 1)

    def _read(self, location: Location, callers: Callers) -> Origin:
        lines = self._watch.lines
        call = (location.file, location.line, None, location.function, callers)
        found = (
            provenance.value_origin(*call), *provenance.value_calls(*call), provenance.order_origin(*call),
            made_float(*call),
        )  # fmt: skip
        values, request, maker, order, floated = (lines.of(*f) if f is not None else None for f in found)
        self._note_file((values or location).file)
        made = integer_buffer(values.file, values.line) if values is not None else None
        divided = [(at, n) for (f, line), n in provenance.data_divisions(*call) if (at := lines.of(f, line))]
        return {
            "origin": values,
            "made_float": floated,
            "request": request,
            "made_at": maker,
            "order_origin": order,
            "given_as": given_names([(location.file, location.line), *callers]),
            "orders": recorded_orders(self._watch, provenance.orders(*call) if order else []),
            "buffer": lines.of(*made) if made is not None else None,
            "divisions": [at for at, _ in divided],
            "divided_by": [n for _, n in divided],
        }
