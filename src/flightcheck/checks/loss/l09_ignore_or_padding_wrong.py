"""L09: the loss counts padding, or ignores what it should count."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._prediction import by_site
from flightcheck.recording.loss_masks import LossMask
from flightcheck.recording.loss_records import LossCall, LossSite, PaddedTarget
from flightcheck.recording.run import Run

OVER_CLASSES: Final = ("cross_entropy", "nll_loss")
DEFAULT: Final = -100
"""``ignore_index`` of PyTorch's losses where nothing else is said."""


COUNTED: Final = f"loss:ignore={DEFAULT}"
"""The patch after which every class counts."""
_CALLS, _INSIDE = 3, 0.05


@check(
    "L09",
    "ignore-or-padding-wrong",
    severity="error",
    evidence="B",
    needs=("loss_calls", "PaddedTarget"),
    fix="Give the loss ignore_index=<the padding id>, and give padding an id of its own.",
)
class IgnoreOrPaddingWrong(Check):
    """The loss learns from padding, averages over nothing, or leaves out a real class.

    ## What it checks
    (a) Rows of token ids are filled up with the id that an embedding (`padding_idx`) or `pad_sequence` declares as
    padding, and the target there is one value that the loss does not ignore. (b) All targets of a batch are ignored:
    the mean of nothing is NaN. (c) `ignore_index` is a class id that occurs as often as any other: in a classification
    of single examples, or in the midst of rows of tokens that the model is given as well. (d) A mask that the script
    lays over its own loss leaves the padding and nothing else: in every call of the learning pass the positions that it
    keeps hold one id, at the end or beginning of each row, and no other position holds it; no other mask of the script
    keeps the tokens. (e) Labels of tokens (fewer classes than any embedding has rows) are filled up with the class that
    is ignored, and tokens have that label as well: told only if a trial that counts it takes away a third of the error.
    ## Why it matters
    Padding is easy to predict and hides the loss of the real tokens; a NaN ends the training; an ignored class is never
    learned.
    ## How to fix
    `CrossEntropyLoss(ignore_index=pad_id)`, with the targets filled up by the same id; skip batches without targets. By
    hand: `mask = tokens != pad_id`, then `(loss * mask).sum() / mask.sum()`.
    ## Source
    Contract of `torch.nn.CrossEntropyLoss`; `padding_idx` and `pad_sequence` say what padding is.
    ## Known false alarms
    A model that is to write padding after the end. Losses that are masked by hand (`reduction='none'`) are not flagged.
    """

    share = Param(0.05, "under a twentieth of the positions padding does little harm")
    agreement = Param(0.999, "padding has one and the same target everywhere")
    calls = Param(2, "one batch may be special")
    evenly = Param(2.0, "a class that is ignored on purpose is rarely as frequent as the others within this factor")
    between = Param(0.6, "of what chance gives: padding stands at the end of a row, and never between two tokens")
    most = Param(0.9, "of the calls: a short batch may hold none")
    per_class = Param(20, "labels per class that make the shares comparable")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if (tags := self._tags(run)) is not None:
            yield tags
            return
        masks = run.recorded(LossMask)
        inverted = [m for m in masks if m.padding == m.calls >= self.calls.value]
        if inverted and len(inverted) == sum(m.calls > 0 for m in masks):
            yield self._inverted(inverted[0])
            return
        sites = by_site(c for c in run.training_calls(*OVER_CLASSES) if "float" not in c.target_dtype)
        if not sites:
            raise NotApplicable("no cross-entropy with class ids was called in training")
        short = 0
        for here in sites.values():
            site = run.site(here[0])
            found = self._nothing_left(site, here) or self._padding(run, site, here) or self._class(run, site, here)
            if found:
                yield found
            short += len(here) < self.calls.value
        if short == len(sites):
            raise NotEnoughEvidence(f"fewer than {self.calls.value:.0f} observed calls of the loss")

    @staticmethod
    def _tags(run: Run) -> Finding | None:
        found = ignored_tag(run)
        tried = [(e.question, e.patch, e.status) for e in run.experiments]
        if found is None or ("L09", COUNTED, "confirmed") not in tried:
            return None
        site, padded = found
        return Finding(
            f"{site.function} ignores class {padded.value} everywhere, as the targets of padding are filled up with "
            f"it; but it is the label of {padded.inside:.0%} of the tokens, too, which is never learned.",
            location=site.target_origin or site.location,
            evidence={"ignore_index": padded.value, "share": padded.inside, "padding": padded.padding},
            patch=COUNTED,
            fix=f"Fill the targets up with {DEFAULT}, which is ignored by default and no class.",
        )

    @staticmethod
    def _inverted(mask: LossMask) -> Finding:
        at = mask.made or mask.location
        return Finding(
            f"The mask over the loss is inverted: in {mask.padding} of {mask.calls} calls it keeps the padding "
            f"({mask.share:.0%} of the positions) and nothing else, so that no token is learnt.",
            location=at,
            evidence={"calls": mask.calls, "share": mask.share, "used": str(mask.location)},
            onset_step=mask.step,
            fix="Keep the tokens: mask = tokens != padding_id.",
            patch=f"source:complement:{PurePath(at.file).name}:{at.line}" if mask.made is not None else "",
        )

    @staticmethod
    def _nothing_left(site: LossSite, here: Sequence[LossCall]) -> Finding | None:
        empty = [c for c in here if c.ignored == math.prod(c.target_shape) and c.value is not None]
        first = next((c for c in empty if math.isnan(c.value or 0.0)), None)
        if first is None:
            return None
        ignored = site.settings.get("ignore_index", DEFAULT)
        return Finding(
            f"All {first.ignored} targets of step {first.step} are {ignored}, which {site.function} ignores: the mean "
            "of nothing is NaN.",
            location=site.location,
            evidence={"ignored": first.ignored, "ignore_index": ignored},
            onset_step=first.step,
            fix="Skip batches without a target, or sum the losses and divide by max(1, number of targets).",
        )

    def _padding(self, run: Run, site: LossSite, here: Sequence[LossCall]) -> Finding | None:
        ignored = site.settings.get("ignore_index", DEFAULT)
        if site.settings.get("weighted") or site.settings.get("reduction", "mean") == "none":
            return None
        padded = [
            p
            for p in run.recorded(PaddedTarget)
            if p.site == site.index and p.agreement >= self.agreement.value and p.value != ignored
        ]
        much = [p for p in padded if p.share >= self.share.value]
        if len(much) < self.calls.value or max(p.lengths for p in much) < 2 or len({p.value for p in much}) > 1:
            return None
        p = much[-1]
        fix = f"Use ignore_index={p.value}"
        if p.value != p.padding:
            fix = f"Fill the targets up with {DEFAULT} (or another id that is no class) and ignore that"
        return Finding(
            f"{p.share:.0%} of the positions are padding (id {p.padding}), and {site.function} counts the target "
            f"{p.value} there: its ignore_index is {ignored}.",
            location=site.location,
            evidence={"padding": p.padding, "target": p.value, "share": p.share, "ignore_index": ignored},
            onset_step=here[0].step,
            fix=f"{fix}.",
            # Another id may stand for real tokens elsewhere.
            patch=f"loss:ignore={p.value}" if p.value == p.padding else "",
        )

    def _class(self, run: Run, site: LossSite, here: Sequence[LossCall]) -> Finding | None:
        ignored = site.settings.get("ignore_index", DEFAULT)
        classes = here[-1].classes
        if not isinstance(ignored, int) or not 0 <= ignored < classes or site.settings.get("weighted"):
            return None
        examples = {b.step: b.shape[0] for b in run.batches if b.training and b.shape}
        of_examples = [
            c for c in here if c.target_shape == c.input_shape[:1] == [examples.get(c.step)] and c.label_counts
        ]
        tokens = any(b.training and len(b.shape) == 2 and "int" in b.dtype for b in run.batches)
        if tokens or len(of_examples) < len(here):
            known = [c for c in here if c.ignored_between is not None]
            of_examples = [c for c in known if (c.ignored_between or 0.0) >= self.between.value and c.label_counts]
            if len(of_examples) < max(self.calls.value, self.most.value * len(known)):
                return None
            tokens = True
        total = sum(math.prod(c.target_shape) for c in of_examples)
        if classes < 2 or total < self.per_class.value * classes:
            return None
        counts = [sum(column) for column in zip(*(c.label_counts or [] for c in of_examples))]
        share = sum(c.ignored for c in of_examples) / total
        others = [n / total for i, n in enumerate(counts) if i != ignored]
        if tokens:  # some ids are never a target, as that of the beginning, and the end is one in each row
            others = [n for n in others if n]
        if not others or not all(others):
            return None
        if not min(others) / self.evenly.value <= share <= max(others) * self.evenly.value:
            return None
        return Finding(
            f"{site.function} ignores class {ignored} of {classes}: {share:.0%} of the labels, as many as of any other "
            "class, are never learned.",
            location=site.module_location or site.location,
            evidence={"ignore_index": ignored, "share": share, "label_counts": counts},
            severity="warn",
            patch=f"loss:ignore={DEFAULT}",
            fix="Remove ignore_index, or give what is to be ignored an id that is no class.",
        )


def ignored_tag(run: Run) -> tuple[LossSite, PaddedTarget] | None:
    """A class of tokens that a loss ignores since padding has its number; no id of a word, which may be left out on
    purpose.
    """
    words = [int(m.settings.get("num_embeddings") or 0) for m in run.modules if m.kind == "embedding"]
    for site in run.loss_sites:
        here = [c for c in run.training_calls(*OVER_CLASSES) if c.site == site.index]
        ignored = site.settings.get("ignore_index", DEFAULT)
        if not here or not isinstance(ignored, int) or not 0 <= ignored < here[-1].classes < min(words, default=0):
            continue
        padded = [p for p in run.recorded(PaddedTarget) if p.site == site.index and p.value == ignored]
        if len(padded) >= _CALLS and all(p.inside > _INSIDE for p in padded):
            return site, padded[-1]
    return None
