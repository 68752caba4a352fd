"""C04: a model that predicts the next token and can see it."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "C04",
    "future-leak",
    severity="error",
    evidence="B",
    needs=("Probe",),
    fix="Give the attention a causal mask.",
    patch="mask:causal",
)
class FutureLeak(Check):
    """The target is the next token, and outputs depend on tokens that come later.

    ## What it checks
    In a trial, on a copy of the model in eval mode and float64. Where the target is the input moved by one position (on
    95 % of the positions), all tokens of the second half are replaced: the outputs of the first half must not move
    (relative limit 1e-7). A target that is the input itself is L20's.
    ## Why it matters
    The training loss falls towards zero and generated text is nonsense: the answer was in the input.
    ## How to fix
    A causal mask (``is_causal=True``, or an upper triangle of minus infinity).
    ## Source
    Karpathy, A Recipe for Training Neural Networks; catalogue C04: the threshold must be zero, not small.
    ## Known false alarms
    Prefix language models that see all of a prefix on purpose.
    """

    limit = Param(1e-7, "far above float64 noise; a missing mask moved outputs by 0.013 in a pilot")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.probe("leaks").result
        if "future" not in found:
            raise NotEnoughEvidence("targets are not the input's tokens, or the model could not be asked")
        moved = float(found["future"])
        root = next((r for r in run.roots if r.train_calls), None)
        attention = next((m for m in run.modules if m.kind == "attention" and m.order >= 0), None)
        if found.get("next_token") and moved > self.limit.value:
            yield Finding(
                f"Outputs of the first half of a sequence move by {moved:.2g} of their size when tokens of the second "
                "half are replaced, and the target is the next token: the model sees what it is to predict.",
                location=Location(**found["at"])
                if "at" in found
                else (root.call_location if root else None) or (attention.location if attention else None),
                module=attention.path if attention else "",
                evidence={"moved": moved},
            )
