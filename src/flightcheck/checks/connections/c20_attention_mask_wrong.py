"""C20: real tokens that see padding."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run


@check(
    "C20",
    "attention-mask-wrong",
    severity="error",
    evidence="B",
    needs=("Probe",),
    fix="Pass key_padding_mask (True where a key is padding, for nn.MultiheadAttention) to every attention layer.",
    preview=True,
)
class AttentionMaskWrong(Check):
    """What stands in the padding changes the outputs of real tokens.

    ## What it checks
    In a trial, on a copy of the model in eval mode and float64, for attention models whose embedding has a
    ``padding_idx``: the embedding of the padding token is replaced by noise. Outputs at other tokens must not move
    (relative limit 1e-6).
    ## Why it matters
    Attention spends its weight on nothing, and predictions depend on how long the longest example of the batch is. A
    mask of the wrong polarity hides the real tokens and shows the padding.
    ## How to fix
    In ``nn.MultiheadAttention`` True blocks a key, in ``scaled_dot_product_attention`` True allows it.
    ## Source
    PyTorch's documentation of the two conventions; catalogue C20 (a).
    ## Known false alarms
    Models trained with visible padding on purpose. In preview: it has not met enough healthy models yet.
    """

    limit = Param(1e-6, "float64 noise is 1e-12")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.probe("leaks").result
        if "padding" not in found:
            raise NotEnoughEvidence("no attention model with padded inputs and a padding_idx")
        moved = float(found["padding"])
        if moved <= self.limit.value:
            return
        attention = next((m for m in run.modules if m.kind == "attention" and m.order >= 0), None)
        yield Finding(
            f"Outputs at real tokens move by {moved:.2g} of their size when the content of the padding "
            f"({100 * float(found['pad_share']):.0f} % of the tokens) is changed.",
            location=attention.location if attention else None,
            module=attention.path if attention else "",
            evidence={"moved": moved, "pad_share": found["pad_share"]},
        )
