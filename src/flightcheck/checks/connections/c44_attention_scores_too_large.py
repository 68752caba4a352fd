"""C44: the scores of an attention are so far apart that its softmax picks one key before anything was learned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, Param, check
from flightcheck.recording.attention_scales import AttentionScale
from flightcheck.recording.run import Run

_PATCH: Final = "attention-scale"
_LARGER: Final = 1.01


@check(
    "C44",
    "attention-scores-too-large",
    severity="error",
    evidence="B",
    needs=("AttentionScale",),
    fix="Divide the products of queries and keys by the root of their width: scores / math.sqrt(d).",
)
class AttentionScoresTooLarge(Check):
    """Scores of an attention are multiplied by the root of the width that should divide them, or by nothing.

    ## What it checks
    In the first training step of a model that was not loaded: the products of two activations on the way to a softmax,
    the constants by which they and both factors are multiplied, and the standard deviation of the scores within a row,
    without what a mask shuts out. Told where this is above 3, so that one key gets most of the weight, and the scale
    1/√d would bring it to 1.5 or less. An error where constants make the scores larger; information where they do not,
    and an error again where a trial with the scale learns better.
    ## Why it matters
    A product of d independent pairs grows as √d. A softmax of scores that lie far apart is a choice of one key at
    random, and hands back next to no gradient, so that queries and keys hardly learn.
    ## How to fix
    `scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))`, or `F.scaled_dot_product_attention`.
    ## Source
    Vaswani et al. 2017, Attention is all you need, section 3.2.1.
    ## Known false alarms
    None known. Cosines (queries or keys of length 1) have a temperature of their own and are left out; models whose
    weights were loaded may be sharp for good reasons.
    """

    spread = Param(
        3.0,
        "of 16 scores that far apart the largest gets two thirds of the weight; unscaled default layers of 64 elements "
        "have 2.7",
    )
    scaled = Param(1.5, "what is left with 1/√d must be an attention that looks at several keys")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(AttentionScale)
        if not found:
            raise NotApplicable("no softmax over products of two activations was seen in the first step")
        if any(r.loaded for r in run.roots if r.train_calls):
            raise NotApplicable("the weights were loaded")
        for scale in too_large(run):
            yield self._finding(run, scale)

    def is_too_large(self, scale: AttentionScale) -> bool:
        """Far apart, and not so with the usual scale."""
        usual = scale.spread / (max(scale.factor, 1e-9) * math.sqrt(scale.width))
        return scale.spread > self.spread.value and usual <= self.scaled.value

    @staticmethod
    def _finding(run: Run, scale: AttentionScale) -> Finding:
        root = math.sqrt(scale.width)
        patch = rescaled(scale)
        proof = any(e.status == "confirmed" for e in run.experiments if (e.question, e.patch) == ("C44", patch))
        grown = multiplies(scale)
        at = (scale.factor_location if grown else None) or scale.product_location or scale.location
        how = f"are multiplied by {scale.factor:.3g}" if grown else f"are not divided by √{scale.width} = {root:.3g}"
        return Finding(
            f"The products of queries and keys of {scale.width} elements {how}: before the first step the "
            f"{scale.keys} scores of a row have a standard deviation of {scale.spread:.3g} (by 1/√{scale.width}: "
            f"{scale.spread / (scale.factor * root):.2g}), so the softmax picks one of them and hands back hardly any "
            "gradient.",
            location=at,
            evidence={"factor": scale.factor, "width": scale.width, "spread": scale.spread, "keys": scale.keys},
            severity=None if grown or proof else "info",
            fix=f"Divide the scores by √{scale.width} = {root:.3g}" + (" in its place." if grown else "."),
            patch=patch,
        )


def multiplies(scale: AttentionScale) -> bool:
    """Constants make the scores larger: that is no scale left out."""
    return scale.factor > _LARGER


def too_large(run: Run) -> list[AttentionScale]:
    """Attentions whose scores are too far apart; none where weights were loaded, which may be sharp on purpose."""
    if any(r.loaded for r in run.roots if r.train_calls):
        return []
    asked = AttentionScoresTooLarge()
    return [s for s in run.recorded(AttentionScale) if asked.is_too_large(s)]


def rescaled(scale: AttentionScale) -> str:
    """The patch under which the scores have the usual scale."""
    at = scale.location
    factor = 1 / (scale.factor * math.sqrt(scale.width))
    return f"{_PATCH}:{PurePath(at.file).name}:{at.line}={factor:.6g}" if at is not None else ""
