"""C23: the last output of a sequence is read where the sequence is over."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.sequences import PaddedRead


@check(
    "C23",
    "rnn-state-misuse",
    severity="error",
    evidence="X",
    needs=("ModuleInfo",),
    fix="Read each output at its sequence's end: out[torch.arange(len(out)), lengths - 1], or the last hidden state.",
)
class RnnStateMisuse(Check):
    """The last output of a padded sequence is read at the padding.

    ## What it checks
    Every index into the result of ``pad_packed_sequence``: the last position of time (``out[:, -1]``, or ``out[-1]``
    where time comes first) while some sequences of the batch are shorter. What stands there is the padding value, not
    an output. As information: the last output, or the last hidden state, of a layer that was given sequences without
    packing, where an embedding with ``padding_idx`` says that at least half of them end with padding.
    ## Why it matters
    For all but the longest sequences of a batch the layers behind are given zeros. The loss falls all the same, since
    the longest ones and the class shares can be learned. A layer that goes on through padding has to remember what it
    saw for as many steps.
    ## How to fix
    ``out[torch.arange(len(out)), lengths - 1]``; or ``h_n[-1]``, which packing takes at the right place; or packing in
    the first place (``pack_padded_sequence``).
    ## Source
    PyTorch's documentation of ``pad_packed_sequence``; catalogue C23 (d).
    ## Known false alarms
    None known for packed sequences. Models that are to learn what padding is; their sequences are told as information.
    """

    share = Param(0.5, "of the sequences: where few are filled up, little is lost")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.padded_reads:
            raise NotApplicable("no line reads the last output of a recurrent layer over padded sequences")
        for read in run.padded_reads:
            if read.kind == "packed" and read.short:
                yield self._packed(read)
            elif read.kind != "packed" and read.short >= self.share.value * read.rows:
                yield self._through(read)

    @staticmethod
    def _packed(read: PaddedRead) -> Finding:
        return Finding(
            f"The last of {read.length} positions is read from the result of pad_packed_sequence, but {read.short} of "
            f"{read.rows} sequences end before it (their mean length is {read.mean_length:.3g}): what is read there is "
            "the padding value.",
            location=read.location,
            evidence={"rows": read.rows, "short": read.short, "mean_length": read.mean_length},
            onset_step=read.step,
            patch="last-step:lengths",
        )

    @staticmethod
    def _through(read: PaddedRead) -> Finding:
        what = "last hidden state" if read.kind == "state" else "last output"
        return Finding(
            f"The {what} is read after {read.length} positions, and {read.short} of {read.rows} sequences end before "
            f"(their mean length is {read.mean_length:.3g}): the layer went on through the padding.",
            location=read.location,
            evidence={"rows": read.rows, "short": read.short, "mean_length": read.mean_length},
            onset_step=read.step,
            severity="info",
            fix="Pack the sequences: pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False).",
        )
