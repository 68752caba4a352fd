"""Records of sequences in recurrent layers: where they end, and where their history does."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class PaddedRead:
    """A line that reads the last output of a recurrent layer where sequences of different lengths were filled up."""

    kind: str
    """``packed``: of ``pad_packed_sequence``, whose outputs behind the end of a sequence are no outputs; ``padded``: of
    a layer that went through the padding, the last output; ``state``: its last hidden state."""
    step: int
    location: Location | None
    rows: int
    short: int
    """Sequences that end before the last position."""
    length: int
    """Positions in all."""
    mean_length: float
    """Of the sequences themselves."""
    count: int = 1


@frozen
class CutState:
    """A line that cuts the state of a recurrent cell off the graph, between two steps of one sequence."""

    cell: str
    """gru_cell, lstm_cell, rnn_tanh_cell or rnn_relu_cell."""
    location: Location | None
    step: int
    rounds: int = 0
    """Rounds of training in which it did so more than once."""
    calls: int = 0
    """Calls of such cells in those rounds."""
    cut: int = 0
    """Those of them that were given a state without its history."""


@frozen
class FreshState:
    """A line that calls a recurrent cell, or a layer with one step of time, again and again in one round."""

    cell: str
    """gru_cell, lstm_cell, rnn_tanh_cell or rnn_relu_cell; lstm, gru, rnn_tanh or rnn_relu."""
    location: Location | None
    step: int
    rounds: int = 0
    calls: int = 0
    """Of the same weights, in those rounds."""
    fresh: int = 0
    """Those of them that were given a state of zeros."""
    parameters: list[int] = field(default_factory=list)
    """The matrices by which a state goes into the next one."""


@frozen
class RepeatedState:
    """A line that calls a recurrent cell, or a layer with one step of time, in a loop, always with the same state."""

    cell: str
    """As of a `FreshState`."""
    location: Location | None
    """The call in the loop, which drops the new state."""
    step: int
    name: str
    """Of the state."""
    calls: int = 0
    same: int = 0
    """Calls that were given what the call before was given."""


RECORDS.update({cls.__name__: cls for cls in (PaddedRead, CutState, FreshState, RepeatedState)})
