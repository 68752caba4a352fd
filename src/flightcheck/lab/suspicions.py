"""Lines that may be meant so: an experiment tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from flightcheck.checks.connections.c09_signal_lost_at_init import CENTRED, one_signed
from flightcheck.checks.connections.c20_attention_mask_wrong import inversion, suspicious_masks
from flightcheck.checks.connections.c23_rnn_state_misuse import (
    AT_THEIR_ENDS,
    forgetful_cells,
    history_kept,
    read_through_padding,
)
from flightcheck.checks.connections.c44_attention_scores_too_large import multiplies, rescaled, too_large
from flightcheck.checks.connections.c45_softmax_between_layers import suspects, with_relu
from flightcheck.checks.depth import trained_roots
from flightcheck.checks.parameters.p21_accumulation_scale_error import AccumulationScaleError
from flightcheck.lab.source_edits import at_their_ends
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


class Suspicion(NamedTuple):
    """What would prove it."""

    code: str
    """Of the check that would be loud."""
    patch: str
    diff: str
    since: int = 0
    """The step at which it begins, in a later phase of the training."""


def suspicions(run: Run) -> Iterator[Suspicion]:
    """Those of a training."""
    for mask in suspicious_masks(run):
        yield from _at("C20", inversion(mask), mask.location, "# the same with the mask inverted (~mask)")
    if (summed := AccumulationScaleError().doubtful(run)) is not None:
        divided = _at("P21", summed.patch, summed.location, "# the same of the loss divided by the number of batches")
        yield from (s._replace(since=summed.onset_step or 0) for s in divided)
    for state in forgetful_cells(run):
        yield from _at("C23", history_kept(state), state.location, "# the same without cutting the state off")
    if any(one_signed(run, root)[0] for root in trained_roots(run)):
        yield Suspicion("C09", CENTRED, "+ # the weights drawn around zero: nn.init.xavier_uniform_(weight)")
    if softmaxes := suspects(run):
        with_others = "# the same with relu in the place of the softmax"
        yield from _at("C45", with_relu(softmaxes), softmaxes[0].location, with_others)
    for scale in too_large(run):
        if not multiplies(scale):
            scaled = f"# the same with scores / math.sqrt({scale.width})"
            yield from _at("C44", rescaled(scale), scale.location, scaled)
    for read in read_through_padding(run):
        at_ends = at_their_ends(read.location.code) if read.location is not None else ""
        yield from _at("C23", AT_THEIR_ENDS, read.location, at_ends or "# the same at lengths - 1 of each sequence")


def _at(code: str, patch: str, line: Location | None, instead: str) -> Iterator[Suspicion]:
    if line is not None:
        yield Suspicion(code, patch, f"- {line.code}\n+ {instead}")
