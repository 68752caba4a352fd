"""T01: the random generators that the training uses were not seeded."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.recording.run import Run

_CALLS = {"numpy": "numpy.random.seed(0)", "torch": "torch.manual_seed(0)"}


@check(
    "T01",
    "seed-not-set",
    severity="info",
    evidence="X",
    needs=("seeding",),
    fix="Seed every generator at the top of the script, before the model is built: torch.manual_seed(0).",
)
class SeedNotSet(Check):
    """A random generator that the training uses was never seeded, or only after the model was built.

    ## What it checks
    Whether NumPy's and PyTorch's global generators, where they were used in the run, were seeded, and PyTorch's before
    the first module with parameters was constructed. Python's own is not judged: importing libraries draws from it.
    ## Why it matters
    Without a seed two runs differ in weights, order and augmentation, so no change of the code can be judged by one
    run. A seed set after the model was built leaves the weights random.
    ## How to fix
    `random.seed(s); numpy.random.seed(s); torch.manual_seed(s)` first of all.
    ## Source
    Karpathy, A Recipe for Training Neural Networks: fix the random seed. PyTorch note on reproducibility.
    ## Known false alarms
    Studies over many seeds on purpose; NumPy's own `default_rng` is seeded where it is made and not looked at.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        seeding = run.seeding
        if seeding is None:
            raise NotEnoughEvidence("random generators were not watched")
        if not seeding.used:
            raise NotApplicable("no global random generator was used")
        missing = [name for name in ("numpy", "torch") if name in seeding.used and name not in seeding.seeded]
        if missing:
            calls = "; ".join(_CALLS[m] for m in missing)
            yield Finding(
                f"Random numbers come from {' and '.join(missing)} without a seed: no run can be repeated.",
                location=seeding.first_model_location if "torch" in missing else seeding.location,
                evidence={"used": list(seeding.used), "seeded": list(seeding.seeded)},
                fix=f"Put {calls} at the top of the script.",
            )
        elif seeding.torch_after_model:
            yield Finding(
                "torch.manual_seed is called after the model was built: its initial weights differ in every run.",
                location=seeding.location,
                evidence={"first_model": str(seeding.first_model_location)},
                fix="Move the seed above the line that builds the model.",
            )
