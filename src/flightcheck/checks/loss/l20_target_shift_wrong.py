"""L20: a target that is not the next token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.loss_records import LossSite, TargetShift
from flightcheck.recording.run import Run


@check(
    "L20",
    "target-shift-wrong",
    severity="error",
    evidence="X",
    needs=("LossCall",),
    fix="Let the target at position t be the token at t + 1: shift once, in the data or in the loss.",
)
class TargetShiftWrong(Check):
    """The target at a position is the token after the next one, or one that the model was given already.

    ## What it checks
    The ids that the model looks up in an embedding are compared with the class ids of the loss, position by position;
    slices of the outputs (``logits[:, :-1]``) are read from the graph. (a) The target is the token two positions ahead
    on 95 % of the positions at which that differs from the next one, and no loss of the training has the next token as
    its target. (b) The target is the token itself, or the one before it. That is a fault if the model is causal and
    sees that token: the tokens go into a recurrent layer that goes forward only; or a trial asks a copy of the model
    (in eval mode and float64), as C04 does. (c) The target is the token itself, and the loss leaves out the positions,
    in the midst of the rows, at which the model was given the mask: just those that it was to guess.
    ## Why it matters
    A model that learned to skip a token writes every other word. One that copies reaches a loss of zero and has learned
    nothing.
    ## How to fix
    Data sets that give ``x = ids[:-1]`` and ``y = ids[1:]`` have shifted; the loss must not do it again. Models that
    shift the labels themselves (``model(ids, labels=ids)`` of many libraries) want labels that are not shifted. A
    decoder is given ``ids[:, :-1]`` and learns ``ids[:, 1:]``. A masked language model: ``labels[~masked] = -100``.
    ## Source
    Karpathy, A Recipe for Training Neural Networks; the contract of `labels` in Hugging Face's causal language models.
    ## Known false alarms
    A single head that is to predict two tokens ahead on purpose, trained without one for the next token. Several heads
    for several distances are recognized, and so are targets that put some tokens of each batch right.
    """

    calls = Param(2, "one batch may be special")
    future = Param(1e-7, "as in C04: far above float64 noise; outputs that depend on a token move by 1e-2 and more")

    def __call__(self, run: Run) -> Iterator[Finding]:
        shifts = run.target_shifts
        if not shifts:
            raise NotApplicable("no target is made of the tokens that the model looks up")
        if any(s.shift not in (-1, 0, 2) for s in shifts):
            return  # the next token; or several heads, each for another distance
        sites = {s.site: [t for t in shifts if t.site == s.site] for s in shifts}
        enough = {i: here for i, here in sites.items() if len(here) >= self.calls.value}
        if not enough:
            raise NotEnoughEvidence(f"fewer than {self.calls.value:.0f} observed calls of the loss")
        turned = {i: here for i, here in enough.items() if all(s.hidden is not None for s in here)}
        if turned:
            yield from (self._turned(run.loss_sites[i], here) for i, here in turned.items())
            return
        twice = {i: here for i, here in enough.items() if all(s.shift == 2 for s in here)}
        for index, here in twice.items():
            yield self._twice(run.loss_sites[index], here)
        if not twice:
            yield from self._copies(run, next(iter(enough.values())))

    @staticmethod
    def _turned(site: LossSite, here: list[TargetShift]) -> Finding:
        at = site.target_origin or site.location
        ignored = site.settings.get("ignore_index", -100)
        return Finding(
            f"The loss leaves out (target {ignored}) the positions at which the model was given the id "
            f"{here[-1].hidden} in the place of the token, and counts those at which it was given "
            "the token that it is to answer: it only has to copy.",
            location=at,
            evidence={"hidden": here[-1].hidden, "positions": here[-1].positions, "shift": 0},
            onset_step=here[0].step,
            fix=f"Invert the mask of the targets: labels[~masked] = {ignored}.",
            patch=f"source:complement:{PurePath(at.file).name}:{at.line}" if at is not None else "",
        )

    @staticmethod
    def _twice(site: LossSite, here: list[TargetShift]) -> Finding:
        last = here[-1]
        where = "the outputs are sliced as well, so the loss shifts once more" if last.slice_location else ""
        return Finding(
            f"The target at each position is the token two positions ahead, on {100 * last.agreement:.0f} % of "
            f"{last.positions} positions at which that is another one than the next token"
            + (f": {where}." if where else "."),
            location=last.slice_location or last.target_location or site.location,
            evidence={"shift": last.shift, "positions": last.positions, "agreement": last.agreement},
            onset_step=here[0].step,
            fix="Shift once: leave out the slices here, or give targets that are not shifted yet."
            if last.slice_location
            else "Let the targets begin one position after the inputs, not two.",
            patch="targets:unshift",
        )

    def _copies(self, run: Run, here: list[TargetShift]) -> Iterator[Finding]:
        if all(s.agreement < 1 for s in here):
            return  # a few tokens are others in every call: they are to be put right
        if all(s.forward_only for s in here):
            yield self._copy(run, here, 0.0)
            return
        found = run.probe("leaks").result
        if "future" not in found or not found.get("copies"):
            raise NotEnoughEvidence("the target is the token itself, and the model could not be asked whom it sees")
        if found["future"] > self.future.value or found.get("present", 0.0) <= self.future.value:
            return  # an autoencoder; or a model that sees the tokens before a position only
        yield self._copy(run, here, found["future"])

    @staticmethod
    def _copy(run: Run, here: list[TargetShift], future: float) -> Finding:
        last = here[-1]
        site = run.loss_sites[last.site]
        which = "that the model was given there" if last.shift == 0 else "before the one that the model is given there"
        return Finding(
            f"The target at each position is the token {which}, and outputs see nothing of the future: the model only "
            "has to copy its input.",
            location=last.slice_location or last.target_location or site.location,
            evidence={"shift": last.shift, "positions": last.positions, "future": future},
            onset_step=here[0].step,
            fix="Compare outputs[:, :-1] with tokens[:, 1:]."
            if last.start
            else "Move the target by one: inputs[:, :-1] and inputs[:, 1:].",
            patch="targets:next",
        )
