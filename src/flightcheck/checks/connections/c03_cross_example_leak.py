"""C03: an output that depends on other examples of its batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "C03",
    "cross-example-leak",
    severity="error",
    evidence="B",
    needs=("Probe",),
    fix="Look for view or reshape where permute is meant, for a batch in the place of time (batch_first), and for "
    "statistics over dimension 0.",
)
class CrossExampleLeak(Check):
    """In eval mode, the output of one example changes when the others in its batch are exchanged.

    ## What it checks
    In a trial, on a copy of the model in eval mode and float64: all examples of a batch but one are replaced by others
    of the same batch. The output of the one must not move (relative limit 1e-7; what is independent stays equal to
    about 1e-12). Where outputs have time as well, either of the first two dimensions may hold the examples. The line
    is that of the first operation whose rows are made of several examples; where there is none, the examples come out
    in another order than they went in, and it is that of the last operation that picks rows.
    ## Why it matters
    Such a model cannot predict one example by itself; what it learns belongs to the batch and is gone at test time.
    ## How to fix
    Transpose with permute and not with view; give recurrent layers ``batch_first=True`` when batches come first. What
    was sorted by length is put back with ``out[torch.argsort(order)]``, or not sorted at all:
    ``pack_padded_sequence(…, enforce_sorted=False)``.
    ## Source
    Karpathy, A Recipe for Training Neural Networks (use backprop to chart dependencies); catalogue C03.
    ## Known false alarms
    Models that mix examples on purpose (sets, retrieval in the batch, graphs: those with a list of edges or a square
    input, and full batches, are not asked).
    """

    limit = Param(1e-7, "far above float64 noise (1e-12), far below what a leak moves (1e-2 and more)")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("the model is one of several players")
        found = run.probe("leaks").result
        if "examples" not in found:
            raise NotEnoughEvidence("the model could not be asked: one output per example, and batches that change")
        moved = float(found["examples"])
        if moved <= self.limit.value:
            return
        rnn, line = _batch_first(run)
        order = "" if rnn else str(found.get("mixed_order", ""))
        if not rnn and "mixed_at" in found:
            line = Location(**found["mixed_at"])
        if order and line is not None:
            yield self._out_of_order(order, line, moved, int(found["batch"]))
            return
        yield Finding(
            f"The output of one example moves by {moved:.2g} of its size when the other {int(found['batch']) - 1} "
            "examples of the batch are exchanged, in eval mode"
            + (f": {rnn} expects time first and is given batches first." if rnn else "."),
            location=line or next((r.location for r in run.roots if r.train_calls), None),
            module=rnn,
            evidence={"moved": moved, "batch": found["batch"]},
            fix="Construct it with batch_first=True." if rnn else "",
            patch="batch-first" if rnn else "",
        )

    @staticmethod
    def _out_of_order(order: str, line: Location, moved: float, n: int) -> Finding:
        """Rows that the batch was sorted by are not put back."""
        twice = order == "twice"
        return Finding(
            f"The outputs of the model are those of its {n} examples in another order, in eval mode: row by row they "
            + (
                "belong to other examples. Rows were picked by an order, and here by the same order once more, not by "
                "its inverse."
                if twice
                else "belong to other examples. Here rows are picked by an order, and nothing puts them back."
            ),
            location=line,
            evidence={"moved": moved, "batch": n, "order": order},
            fix="Put them back with out[torch.argsort(order)], or do not sort: enforce_sorted=False when packing.",
            patch=f"inverse-order:{PurePath(line.file).name}:{line.line}" if twice else "",
        )


def _batch_first(run: Run) -> tuple[str, Location | None]:
    """A recurrent or attention layer that takes time first."""
    for m in run.modules:
        if m.kind in ("rnn", "attention") and m.settings.get("batch_first") is False and m.order >= 0:
            return m.path, m.location
    return "", None
