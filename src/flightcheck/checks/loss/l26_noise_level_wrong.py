"""L26: the coefficients of data and noise lack a square root, or are those of a single step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._time_scales import other_time_scale
from flightcheck.recording.batches import Batch
from flightcheck.recording.noising import NoisedData
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_FIXES: Final = {
    "noise-root": "Take the square root of the noise's coefficient: (1 - alpha_bar).sqrt() * noise.",
    "data-root": "Take the square root of the data's coefficient: alpha_bar.sqrt() * x0.",
    "both-roots": "Take both roots: alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise.",
    "short": "Let the schedule end in noise: with T steps, a linear one goes up to about 20 / T (0.02 of 1000 steps); "
    "a cosine schedule ends in noise whatever T is.",
    "product": "Use the cumulative product: alpha_bar[t] in the place of alpha[t], for the data and the noise.",
}


@check(
    "L26",
    "noise-level-wrong",
    severity="error",
    evidence="B",
    needs=("NoisedData",),
    fix="x_t = alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * noise, with the cumulative product alpha_bar.",
)
class NoiseLevelWrong(Check):
    """Data and noise are mixed with the coefficients of a diffusion model, but for a square root or the product.

    ## What it checks
    In the first steps, sums of data and of a standard normal draw, each times a number for each example, that something
    trained is given. With the data's factor a and the noise's b, diffusion keeps the variance (a² + b² = 1), flow
    matching goes along a line (a + b = 1), a variance that explodes has a = 1. Told where, in all examples and to
    rounding, a² + b = 1 or a + b² = 1, over a range in which no two of these are alike: one root was forgotten.
    Where the script computed a cumulative product: also where a is a value of that product and a + b = 1 (both roots
    were), and where a² is one of its factors in all examples, a² + b² = 1, and no other sum uses the product. And where
    a is the root of the product, as it should be, the product ends above a half, and the script makes samples from
    noise: it has too few steps for its rates (warning). And of an argument with one number for each example, whether
    one of training and sampling gives whole numbers up to 8 or more, and the other shares between 0 and 1.
    ## Why it matters
    The model learns to remove less noise, or more, than the sampler asks it to. The loss falls as it does in a right
    training, or further; only the samples are wrong.
    ## How to fix
    `x_t = alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * noise`.
    ## Source
    Ho et al. 2020 (DDPM), equation 4; Song et al. 2021, section 3.4; Lipman et al. 2023, for the straight line. Lin et
    al. 2024, Common diffusion noise schedules and sample steps are flawed, for the last step.
    ## Known false alarms
    None known: an interpolation of one's own that is made of a root and a square of the same number would be one.
    """

    calls = Param(3, "of the line: one batch may hold a few noise levels only")
    examples = Param(16, "of different levels: no two smooth curves meet so often")
    apart = Param(0.1, "by which the identities that are right fail somewhere: at both ends all of them hold")
    rounding = Param(16, "spacings at 1 of the coefficients' type, for a square, a root and a sum")
    signal = Param(0.5, "more data than noise at the last step: published schedules end below 0.005")
    noise = Param(0.5, "of the variance at the last step, at least, if the product is used: else it is no diffusion")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = [f for f in run.recorded(NoisedData) if len(set(f.noise)) > 1]
        if not found:
            raise NotApplicable("no sum of data and a normal draw with coefficients of their own was seen in training")
        if (apart := other_time_scale(run)) is not None:
            yield self._of_times(*apart)
        told = [(f, kind) for f in found if (kind := self._slip(f, found))]
        for f, kind in told:
            if f.calls >= self.calls.value:
                yield self._finding(f, kind)
        if told and all(f.calls < self.calls.value for f, _ in told):
            raise NotEnoughEvidence(f"{told[0][0].calls} of {self.calls.value:.0f} calls of the line")
        if not told and all(len(set(f.noise)) < self.examples.value for f in found):
            raise NotEnoughEvidence(f"fewer than {self.examples.value:.0f} levels of noise were seen")

    def _slip(self, f: NoisedData, others: list[NoisedData]) -> str:
        """What is wrong with the coefficients of a line; empty if they are those of a known way."""
        a, b = np.array(f.data), np.array(f.noise)
        if len(set(f.noise)) < self.examples.value:
            return ""
        wrong = {"noise-root": a**2 + b, "data-root": a + b**2}
        limit = self.rounding.value * f.precision
        holds = {kind: bool(np.abs(value - 1).max() <= limit) for kind, value in wrong.items()}
        straight, kept = (float(np.abs(value - 1).max()) for value in (a + b, a**2 + b**2))
        if min(straight, kept) >= self.apart.value:
            return next((kind for kind, is_so in holds.items() if is_so), "")
        if f.of_product == "product" and straight <= limit and kept >= self.apart.value:
            return "both-roots"
        if f.of_product == "root" and kept <= limit and f.samples and f.lowest_product > self.signal.value:
            return "short"
        single = f.of_product == "factor" and kept <= limit and f.lowest_product <= 1 - self.noise.value
        alone = all(o is f or len(set(o.noise)) < self.examples.value for o in others)
        return "product" if single and alone else ""

    @staticmethod
    def _of_times(trained: Batch, called: Batch) -> Finding:
        one, other = ("shares of all steps", "the number of the step")[:: 1 if trained.maximum <= 1 else -1]
        return Finding(
            f"The model is trained with {one} (argument {trained.argument}, {trained.minimum:.3g} to "
            f"{trained.maximum:.3g}), and samples are drawn with {other} (such as {called.maximum:.3g}): it has never "
            "seen such times.",
            location=called.location,
            evidence={"training": trained.maximum, "sampling": called.maximum, "argument": trained.argument},
            onset_step=called.step,
            fix="Give the model the time on the scale of the training, such as t / T.",
        )

    @staticmethod
    def _finding(f: NoisedData, kind: str) -> Finding:
        a, b = np.array(f.data), np.array(f.noise)
        places = {"noise-root": f.noise_location, "data-root": f.data_location, "short": f.schedule_location}
        where = places.get(kind) or f.location
        variance = a**2 + b**2
        return Finding(
            _MESSAGES[kind].format(
                n=len(a),
                low=variance.min(),
                high=variance.max(),
                most=float((b**2).max()),
                last=1 - f.lowest_product,
                left=f.lowest_product,
            ),
            location=where,
            evidence={
                "examples": len(a),
                "calls": f.calls,
                "slip": kind,
                "data": [float(a.min()), float(a.max())],
                "noise": [float(b.min()), float(b.max())],
                "sum": str(f.location),
            },
            onset_step=f.step,
            fix=_FIXES[kind],
            severity="warn" if kind == "short" else None,
            patch=f"noise-level:{kind}:{_place(f.location)}" if f.location is not None and kind != "short" else "",
        )


_MESSAGES: Final = {
    "noise-root": "The noise is multiplied by 1 - a², where the data are multiplied by a, in all of {n} examples: its "
    "root was meant, which keeps the variance at 1. So it is {low:.2f} to {high:.2f}.",
    "data-root": "The data are multiplied by 1 - b², where the noise is multiplied by b, in all of {n} examples: its "
    "root was meant, which keeps the variance at 1. So it is {low:.2f} to {high:.2f}.",
    "both-roots": "The data are multiplied by a value of the cumulative product itself, and the noise by 1 minus it, "
    "in all of {n} examples: their roots were meant, which keep the variance at 1. So it is {low:.2f} to {high:.2f}.",
    "short": "At the last step {left:.0%} of the variance is still that of the data: sampling, which begins with noise "
    "alone, begins where the model was never trained.",
    "product": "The data are multiplied by the root of single factors of the cumulative product, in all of {n} "
    "examples, and nothing is noised by the product itself: noise makes up {most:.2g} of the variance at most, where "
    "the last step has {last:.2g}.",
}


def _place(at: Location) -> str:
    return f"{PurePath(at.file).name}:{at.line}"
