"""C20: attention that sees what it must not see, and not what it must."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import where
from flightcheck.recording.attention import AttentionMask, WeakFill
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run

FEWEST = 2
"""Calls that must all show it."""
_NAMES = {
    "multi_head_attention_forward": "nn.MultiheadAttention blocks where a mask is True",
    "scaled_dot_product_attention": "scaled_dot_product_attention blocks where a mask is False",
    "masked_fill": "masked_fill blocks where the mask is True",
}


@check(
    "C20",
    "attention-mask-wrong",
    severity="error",
    evidence="B",
    needs=("AttentionMask", "Probe"),
    fix="Pass key_padding_mask (True where a key is padding, for nn.MultiheadAttention) to every attention layer.",
)
class AttentionMaskWrong(Check):
    """A mask hides what attention is to see, or what stands in the padding changes the outputs of real tokens.

    ## What it checks
    In the first rounds, the masks of ``nn.MultiheadAttention``, of ``scaled_dot_product_attention`` and of scores that
    are filled with -inf. A mask over keys under which the padding is all that can be seen: in every call the open keys
    hold one token id, at the end or beginning of each row, and no blocked key holds it. A square mask under which no
    position sees itself, while more than that is blocked: it is inverted in a trial, and an error if that is better.
    And a mask of booleans that fills scores with a number above -5 (1e-9 where -1e9 was meant) on their way into a
    softmax: what is masked weighs as much as the rest.
    In another trial, on a copy of the model in eval mode and float64, for attention models whose embedding has a
    ``padding_idx``: the embedding of the padding token is replaced by noise. Outputs at other tokens must not move
    (relative limit 1e-6).
    ## Why it matters
    A mask of the wrong polarity hides the real tokens and shows the padding. Without one, attention spends its weight
    on nothing, and predictions depend on how long the longest example of the batch is.
    ## How to fix
    In ``nn.MultiheadAttention`` True blocks a key, in ``scaled_dot_product_attention`` True allows it.
    ## Source
    PyTorch's documentation of the two conventions; catalogue C20 (a).
    ## Known false alarms
    Models trained with visible padding on purpose, and queries that must not see their own position, are info.
    """

    limit = Param(1e-6, "float64 noise is 1e-12")

    def __call__(self, run: Run) -> Iterator[Finding]:
        weak = [w for w in run.recorded(WeakFill) if w.reached >= w.calls >= FEWEST]
        if weak:
            yield from map(self._weak, weak)
            return
        open_padding = [m for m in run.recorded(AttentionMask) if shows_padding(m)]
        suspicious = suspicious_masks(run)
        for mask in open_padding:
            yield Finding(
                f"The {mask.argument} of {mask.function} in {where(mask.location)} is inverted: in {mask.padding_open} "
                f"of {mask.padding_known} calls only the padding can be seen ({_NAMES[mask.function]}).",
                location=mask.location,
                evidence={"calls": mask.padding_open, "mask": mask.argument},
                fix=f"Invert the mask in {where(mask.location)} (~mask): {_NAMES[mask.function]}.",
                patch=inversion(mask),
            )
        for mask in suspicious:
            yield self._without_self(run, mask)
        if not (open_padding or suspicious):
            yield from self._padding(run)

    @staticmethod
    def _weak(fill: WeakFill) -> Finding:
        return Finding(
            f"Masked scores ({fill.share:.0%} of them) are filled with {fill.value:g} before the softmax, which gives "
            f"them a weight of exp({fill.value:g}) beside the others: the mask blocks nothing.",
            location=fill.location,
            evidence={"value": fill.value, "share": fill.share, "calls": fill.calls},
            onset_step=fill.step,
            fix="Fill with float('-inf'), or with -1e9 where a whole row may be masked.",
            patch=f"mask:fill:{where(fill.location)}",
        )

    @staticmethod
    def _without_self(run: Run, mask: AttentionMask) -> Finding:
        tried = [e for e in run.experiments if (e.question, e.patch) == ("C20", inversion(mask))]
        proof: Experiment | None = next((e for e in tried if e.status == "confirmed"), None)
        told = f"Under the {mask.argument} of {mask.function} in {where(mask.location)} no position sees itself, in "
        told += f"{mask.without_self} of {mask.calls} calls: inverted? {_NAMES[mask.function]}."
        if proof is not None and proof.before is not None and proof.after is not None:
            told += f" Inverted, the {proof.metric} after {proof.steps} steps is {proof.after:.3g} and not "
            told += f"{proof.before:.3g}."
        return Finding(
            told,
            location=mask.location,
            evidence={"calls": mask.without_self, "mask": mask.argument},
            severity=None if proof else "info",
            fix=f"Invert the mask in {where(mask.location)} (~mask): {_NAMES[mask.function]}.",
            patch=inversion(mask),
        )

    def _padding(self, run: Run) -> Iterator[Finding]:
        """In preview: it has not met enough healthy models yet."""
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
            severity="info",
        )


def shows_padding(mask: AttentionMask) -> bool:
    """The padding is all that this mask shows, wherever it could be told."""
    return mask.padding_known >= FEWEST and mask.padding_open == mask.padding_known


def suspicious_masks(run: Run) -> list[AttentionMask]:
    """Masks under which no position ever sees itself."""
    return [
        m
        for m in run.recorded(AttentionMask)
        if m.calls >= FEWEST and m.without_self == m.calls and not shows_padding(m)
    ]


def inversion(mask: AttentionMask) -> str:
    """The patch that inverts it."""
    return f"mask:invert:{mask.argument}:{where(mask.location)}"
