"""Calls of ``view`` and ``reshape`` in the user's own lines that turn several axes into several others."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.layouts import CrossedRows, Reshape, Shape, merged_axes, regroups
from flightcheck.recording.provenance.sizes import written_axes
from flightcheck.recording.records import Location

RESHAPES: Final = {"view", "reshape", "view_as", "reshape_as"}
_MOVES: Final = {"permute", "transpose", "t", "swapaxes", "swapdims", "movedim", "moveaxis", *RESHAPES}
_PROPERTIES: Final = {"T", "mT"}
_RECURRENT: Final = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
FLATTENINGS: Final = {*RESHAPES, "flatten", "ravel"}
_CONVOLUTIONS: Final = {"conv1d", "conv2d", "conv3d"}
LOOKED_AT: Final = {*_MOVES, *_RECURRENT, *FLATTENINGS, *_CONVOLUTIONS, "__get__"}
"""Operations that this has to be told of."""
_MOST_RECORDS: Final = 128
_MOST_FOLLOWED: Final = 64


class Reshapes:
    """What the script's own lines do to the axes of its tensors."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._found: dict[tuple[Location, Shape, Shape], Reshape] = {}
        self._results: dict[int, tuple[Any, tuple[Location, Shape, Shape]]] = {}
        """Results of reshapes that regroup axes, by identity: are they brought back at once?"""
        self._states: dict[int, Any] = {}
        """Last hidden states of recurrent layers, by identity."""
        self._flattened: dict[int, tuple[weakref.ref[torch.Tensor], Shape, Location]] = {}
        """Results with fewer axes, by identity → themselves, the shape before, the line."""
        self._streams: dict[int, Location] = {}
        """Address of a row of whole numbers → the line that made a table of it."""
        self._crossed: dict[int, CrossedRows] = {}
        """By the number of the loss."""

    def look(self, name: str, func: Any, args: Any, result: Any, inside: bool) -> None:
        """An operation of `LOOKED_AT` was called, `inside` the call of a module or not."""
        if name in _RECURRENT:
            if isinstance(result, tuple):
                self._keep_states(result[1:])
            return
        if not args or type(args[0]) is not torch.Tensor or type(result) is not torch.Tensor:
            return  # a parameter can be laid out in any way: it learns to be read so
        if name == "__get__" and getattr(getattr(func, "__self__", None), "__name__", "") not in _PROPERTIES:
            return
        if name in _CONVOLUTIONS:
            self._convolved(args[0])
            return
        if self._results:
            self._brought_back(args[0], result)
        if name in FLATTENINGS:
            self._note_flattened(args[0], result)
        if name in RESHAPES:
            before, after = tuple(args[0].shape), tuple(result.shape)
            if before != after and regroups(before, after):
                self._note(name, args[0], result, (before, after), inside)
            elif len(before) == 1 and len(after) > 1 and not result.is_floating_point():
                line = self.watch.lines.calling()
                if line is not None and len(self._streams) < _MOST_RECORDS:
                    self._streams[result.untyped_storage().data_ptr()] = line

    def _note(
        self, name: str, given: torch.Tensor, result: torch.Tensor, shapes: tuple[Shape, Shape], inside: bool
    ) -> None:
        line = self.watch.lines.calling()
        if line is None:
            return
        key = (line, *shapes)
        known = self._found.get(key)
        if known is None:
            if len(self._found) >= _MOST_RECORDS:
                return
            state = self._states.get(id(given))
            known = Reshape(
                operation=name,
                location=line,
                before=list(shapes[0]),
                after=list(shapes[1]),
                step=self.watch.step,
                calls=0,
                in_module=inside,
                state=state is not None and state() is given,
            )
        self._found[key] = dataclasses.replace(
            known,
            calls=known.calls + 1,
            from_model=known.from_model or given.requires_grad,
            plain=known.plain or not given.requires_grad,
        )
        if len(self._results) >= _MOST_FOLLOWED:
            self._results.pop(next(iter(self._results)))
        self._results[id(result)] = (weakref.ref(result), key)

    def _note_flattened(self, given: torch.Tensor, result: torch.Tensor) -> None:
        if given.dim() > result.dim() > 0 and len(self._flattened) < _MOST_FOLLOWED:
            line = self.watch.lines.calling()
            if line is not None:
                self._flattened[id(result)] = (weakref.ref(result), tuple(given.shape), line)

    def stream_line(self, ids: torch.Tensor) -> Location | None:
        """The line that made rows of the one row of which these ids are a view."""
        return self._streams.get(ids.untyped_storage().data_ptr())

    def compared(self, site: int, prediction: torch.Tensor, target: torch.Tensor) -> None:
        """A loss is given these: did their rows come from the same axes in the same order?"""
        flat = [self._flattened.get(id(t)) for t in (prediction, target)]
        if any(f is None or f[0]() is not t for f, t in zip(flat, (prediction, target), strict=True)):
            return
        (_, before, line), (_, shape, target_line) = (f for f in flat if f is not None)
        predicted, wanted = (merged_axes(s, len(t)) for s, t in ((before, prediction), (shape, target)))
        if predicted is None or wanted is None or predicted == wanted or sorted(predicted) != sorted(wanted):
            return
        known = self._crossed.get(site)
        self._crossed[site] = CrossedRows(
            site=site,
            step=known.step if known else self.watch.step,
            prediction_axes=list(predicted),
            target_axes=list(wanted),
            target_shape=list(shape),
            location=target_line,
            prediction_location=line,
            calls=known.calls + 1 if known else 1,
        )

    def _brought_back(self, given: torch.Tensor, result: torch.Tensor) -> None:
        reference, key = self._results.get(id(given), (None, None))
        if reference is None or key is None or reference() is not given:
            return
        if tuple(result.shape) == key[1] and key in self._found:
            self._found[key] = dataclasses.replace(self._found[key], undone=True)

    def _convolved(self, given: torch.Tensor) -> None:
        """A convolution is given the result of a reshape, or rows of data that were reshaped before."""
        reference, here = self._results.get(id(given), (None, None))
        direct = reference is not None and reference() is given
        for key, found in self._found.items():
            rows = found.plain and not given.requires_grad and len(given) < found.after[0]
            if key == here if direct else rows and list(given.shape[1:]) == found.after[1:]:
                self._found[key] = dataclasses.replace(found, channels=True)

    def _keep_states(self, states: Any) -> None:
        self._states.clear()
        for state in states:
            if isinstance(state, torch.Tensor) and state.dim() == 3:
                self._states[id(state)] = weakref.ref(state)

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        self._results.clear()
        self._states.clear()
        self._flattened.clear()

    def save(self) -> None:
        """Write the records."""
        for i, ((line, before, _), found) in enumerate(self._found.items()):
            written = written_axes(line.file, line.line, len(before))
            fits = len(written) == len(found.after)
            self.watch.writer.put(dataclasses.replace(found, written=written if fits else []), i)
        for site, crossed in self._crossed.items():
            self.watch.writer.put(crossed, site)
