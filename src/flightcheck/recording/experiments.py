"""What was tried: records of experiments, written by the lab, read by checks, diagnosis and reports."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Final, Literal

from flightcheck.frozen import frozen

NO_TIME: Final = "the time for experiments was used up"
Status = Literal["confirmed", "refuted", "inconclusive", "untested"]


@frozen
class Experiment:
    """A patched training beside the same training without the patch, from the same seeds."""

    question: str
    """Code of the check that asks; the finding's own code where a fix is tried."""
    patch: str
    """Text form of the patch (see `flightcheck.patch`); several are joined by `` + ``."""
    purpose: Literal["fix", "question"] = "fix"
    """A fix is confirmed or refuted. A question only measures; what its check makes of it is the check's business."""
    status: Status = "untested"
    reason: str = ""
    """Why it is inconclusive or untested, in words."""
    metric: str = ""
    """``loss``, ``error`` (one that does not depend on the script's loss), ``evaluation`` (the mean loss of each
    evaluation), ``answers`` (the share of wrong classes in each), ``printed test acc`` (a number that the script prints
    itself, of which more may be better), or, where no loss measures progress, ``trained
    share`` (of the parameters, from 0 to 1: more is better)."""
    before: float | None = None
    """The metric at the end of the trial without the patch, mean over the seeds."""
    after: float | None = None
    """The same with the patch."""
    start: float | None = None
    """The metric over the first steps, without the patch or with it, whichever is lower: the untrained model's."""
    seeds: int = 0
    steps: int = 0
    befores: list[float] = field(default_factory=list)
    """The metric without the patch, one per seed."""
    afters: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    """Improvement (before − after), one per seed."""
    low: float | None = None
    """Lower end of the 95 % interval of the improvement."""
    high: float | None = None
    margin: float = 0.0
    """The smallest improvement that counts."""
    p: float | None = None
    """One-sided p value of "no improvement", adjusted for the number of experiments (Holm)."""
    seeds_needed: int | None = None
    """Where it is inconclusive: seeds that would decide an effect of the observed size (power 0.8)."""
    seconds: float = 0.0
    diff: str = ""
    """What a user would change by hand, as lines with ``-`` and ``+``."""
    gone: list[str] = field(default_factory=list)
    """Codes of findings of the watched run that were not there in the patched trials."""
    controls: list[list[float]] = field(default_factory=list)
    """Per seed: the metric over time without the patch, thinned to at most 60 points."""
    patched: list[list[float]] = field(default_factory=list)

    @property
    def measure(self) -> str:
        """The metric in words: ``test acc`` of ``printed test acc``."""
        return "share of wrong answers" if self.metric == "answers" else self.metric.removeprefix("printed ")


@frozen
class Probe:
    """Something that was measured in a trial and cannot be measured in the user's own run."""

    name: str
    """``neighbours``, ``leaks``, ``gradients``, ``modes``, ``terms`` or ``repeat``."""
    result: dict[str, Any] = field(default_factory=dict)


@frozen
class TrialInfo:
    """One run of an experiment: a training with patches, or its control."""

    patches: list[str] = field(default_factory=list)
    seed: int = 0
    applied: dict[str, int] = field(default_factory=dict)
    """Times that each patch acted. One that never did had no boundary in this training."""
    refused: str = ""
    """Why the trial was broken off: the script was about to touch something outside the trial's own folder."""
