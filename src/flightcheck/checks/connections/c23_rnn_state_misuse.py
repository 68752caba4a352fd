"""C23: the last output of a sequence is read where it is over, or its state loses its history at each step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, check
from flightcheck.recording.run import Run
from flightcheck.recording.sequences import CutState, FreshState, PaddedRead, RepeatedState

AT_THEIR_ENDS = "last-step:lengths"
"""The patch under which each sequence's own last output is read."""
_CELLS = {
    "gru_cell": "GRUCell", "lstm_cell": "LSTMCell", "rnn_tanh_cell": "RNNCell", "rnn_relu_cell": "RNNCell",
    "gru": "GRU", "lstm": "LSTM", "rnn_tanh": "RNN", "rnn_relu": "RNN",
}  # fmt: skip


@check(
    "C23",
    "rnn-state-misuse",
    severity="error",
    evidence="X",
    needs=("ModuleInfo",),
    fix="Read each output at its sequence's end: out[torch.arange(len(out)), lengths - 1], or the last hidden state.",
)
class RnnStateMisuse(Check):
    """The last output of a padded sequence is read at the padding, or the state is cut off the graph at each step.

    ## What it checks
    Every index into the result of ``pad_packed_sequence``: the last position of time (``out[:, -1]``, or ``out[-1]``
    where time comes first) while some sequences of the batch are shorter. What stands there is the padding value, not
    an output. As information: the last output, or the last hidden state, of a layer that was given sequences without
    packing, at least half of which end with padding: the ``padding_idx`` of an embedding, or steps at which every
    feature is zero, at the end of sequences and nowhere else. It is a warning where a trial that reads each sequence's
    own last output learns better.
    And cells (``nn.GRUCell``, ``nn.LSTMCell``, ``nn.RNNCell``) that are given their own last state without its history
    (``detach``, ``.data``) in most steps of a sequence: information, and an error where a trial that keeps the history
    learns better. Cells, and layers that are given one step of a sequence at a time, that start from zeros in all of
    their calls, four or more in each round: their recurrent weights are multiplied by nothing else, and never learn.
    Loops that generate step by step (what is given next is made of the last answer), in which each call is given the
    same state and its new one is dropped (``scores, _ = decoder(token, h)``).
    ## Why it matters
    For all but the longest sequences of a batch the layers behind are given zeros. The loss falls all the same, since
    the longest ones and the class shares can be learned. A layer that goes on through padding has to remember what it
    saw for as many steps. A cell whose state has no history learns from its last step alone: nothing that it should
    remember for longer.
    ## How to fix
    ``out[torch.arange(len(out)), lengths - 1]``; or ``h_n[-1]``, which packing takes at the right place; or packing in
    the first place (``pack_padded_sequence``).
    ## Source
    PyTorch's documentation of ``pad_packed_sequence``; catalogue C23 (d).
    ## Known false alarms
    None known for packed sequences. Models that are to learn what padding is, and silence of different length at the
    end of recordings: told as information, and only louder where reading before it is measurably better.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        seen = bool(run.padded_reads) or bool(run.recorded(CutState)) or bool(run.recorded(RepeatedState))
        if not seen and not fresh_at_each_step(run):
            raise NotApplicable("no padded sequences are read at their last output, and no state was cut off")
        for state in forgetful_cells(run):
            yield self._cut(run, state)
        for fresh in fresh_at_each_step(run):
            yield self._fresh(run, fresh)
        for repeated in repeated_at_each_step(run):
            yield self._repeated(repeated)
        for read in run.padded_reads:
            if read.kind == "packed" and read.short:
                yield self._packed(read)
        for read in read_through_padding(run):
            yield self._through(run, read)

    @staticmethod
    def _packed(read: PaddedRead) -> Finding:
        return Finding(
            f"The last of {read.length} positions is read from the result of pad_packed_sequence, but {read.short} of "
            f"{read.rows} sequences end before it (their mean length is {read.mean_length:.3g}): what is read there is "
            "the padding value.",
            location=read.location,
            evidence={"rows": read.rows, "short": read.short, "mean_length": read.mean_length},
            onset_step=read.step,
            patch=AT_THEIR_ENDS,
        )

    @staticmethod
    def _through(run: Run, read: PaddedRead) -> Finding:
        proof = any(e.status == "confirmed" for e in run.experiments if (e.question, e.patch) == ("C23", AT_THEIR_ENDS))
        what = "last hidden state" if read.kind == "state" else "last output"
        return Finding(
            f"The {what} is read after {read.length} positions, and {read.short} of {read.rows} sequences end before "
            f"(their mean length is {read.mean_length:.3g}): the layer went on through the padding.",
            location=read.location,
            evidence={"rows": read.rows, "short": read.short, "mean_length": read.mean_length},
            onset_step=read.step,
            severity="warn" if proof else "info",
            fix="Pack the sequences: pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False).",
            patch=AT_THEIR_ENDS,
        )

    @staticmethod
    def _fresh(run: Run, state: FreshState) -> Finding:
        return Finding(
            f"In all of {state.calls} calls ({state.calls // state.rounds} in a round) the {_CELLS[state.cell]} starts "
            "from a state of zeros: no step knows what came before it, and its recurrent weights get no gradient.",
            location=state.location,
            evidence={"calls": state.calls, "rounds": state.rounds},
            onset_step=state.step,
            fix="Make the state once, before the loop over time, and give each step that of the one before.",
            patch=state_carried(state),
            parameters=tuple(state.parameters),
        )

    @staticmethod
    def _repeated(state: RepeatedState) -> Finding:
        at = state.location
        return Finding(
            f"In {state.same} of {state.calls} calls the {_CELLS[state.cell]} is given the same state ({state.name}) "
            "as in the call before, and what it returns is dropped: each step of the sequence is a first step.",
            location=at,
            evidence={"calls": state.calls, "same": state.same, "state": state.name},
            onset_step=state.step,
            fix=f"Keep the state that the call returns under the name {state.name}, which the next step is given.",
            patch=f"source:goes-on:{PurePath(at.file).name}:{at.line}" if at is not None else "",
        )

    @staticmethod
    def _cut(run: Run, state: CutState) -> Finding:
        patch = history_kept(state)
        proof = any(e.status == "confirmed" for e in run.experiments if (e.question, e.patch) == ("C23", patch))
        return Finding(
            f"In {state.cut} of {state.calls} calls the {_CELLS.get(state.cell, state.cell)} is given its own last "
            "state without its history: no gradient goes back further than one step of the sequence.",
            location=state.location,
            evidence={"calls": state.calls, "cut": state.cut},
            onset_step=state.step,
            severity=None if proof else "info",
            fix="Cut the history once per batch, before the first step, not at each step.",
            patch=patch,
        )


def fresh_at_each_step(run: Run) -> list[FreshState]:
    """Lines whose cell was given zeros in all of its calls, several in a round: its recurrent weights do nothing."""
    return [s for s in run.recorded(FreshState) if s.rounds >= 3 and s.fresh == s.calls]


def repeated_at_each_step(run: Run) -> list[RepeatedState]:
    """Lines that give one state to nearly all steps of sequences of four or more."""
    return [s for s in run.recorded(RepeatedState) if s.same >= 3 and s.same >= 0.7 * s.calls]


def state_carried(state: FreshState) -> str:
    """The patch under which each step goes on with the state of the one before."""
    at = state.location
    return f"carry-state:{PurePath(at.file).name}:{at.line}" if at else ""


def read_through_padding(run: Run) -> list[PaddedRead]:
    """Lines that read the last output of a layer which went on through the padding of half of the sequences or more:
    where few are filled up, little is lost.
    """
    return [r for r in run.padded_reads if r.kind != "packed" and 2 * r.short >= r.rows]


def forgetful_cells(run: Run) -> list[CutState]:
    """Lines that cut the state off in at least 8 of 10 steps of a sequence; truncated backpropagation: in fewer."""
    return [
        s for s in run.recorded(CutState) if s.cut >= 0.8 * (s.calls - s.rounds)
    ]  # a first step has no state to cut


def history_kept(state: CutState) -> str:
    """The patch under which the state keeps its history; empty where no line is known."""
    at = state.location
    return f"keep-graph:{PurePath(at.file).name}:{at.line}" if at else ""
