"""Evaluations behind the end of the watch: tensors that miss a step which the inputs of the training went through."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.data._inputs import main_inputs
from flightcheck.recording.batches import AwaitedBatch, Batch
from flightcheck.recording.run import Run

_KNOWN = 3
"""Examples of the training that come again in an evaluation of them."""
_BATCHES = 3


def awaited_evaluations(run: Run) -> Iterator[tuple[list[Batch], AwaitedBatch]]:
    """The training's inputs, and a tensor that the same model will be given behind the loop.

    Only where the source says that both come from the same data, of which one part was put on another scale. What the
    numbers say is left to the caller: the source alone does not tell what a line did.
    """
    for root, batches in main_inputs(run).items():
        training = [b for b in batches if b.quantiles]
        trained = {r for b in training for r in b.rows if r}
        for b in run.recorded(AwaitedBatch):
            fits = b.root == root and b.left_out is not None and b.quantiles and b.dtype.startswith("float")
            if not fits or len(training) < _BATCHES or b.shape[1:] != training[0].shape[1:]:
                continue
            if len(trained.intersection(b.rows)) < _KNOWN:
                yield training, b
