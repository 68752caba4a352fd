"""T05: a run whose package versions are written nowhere beside its code."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "T05",
    "environment-not-recorded",
    severity="info",
    evidence="X",
    needs=("environment",),
    fix="Write exact versions into a file beside the script: pip freeze > requirements.txt, or a lock file.",
)
class EnvironmentNotRecorded(Check):
    """No file beside the script says with which versions of its packages it ran.

    ## What it checks
    Lock files, and lists of requirements that name exact versions, from the script's folder up to its repository's.
    The versions in use are recorded with the run in any case.
    ## Why it matters
    Defaults, kernels and random streams change between versions: the same script gives another number a year later.
    ## How to fix
    `pip freeze > requirements.txt`, `uv lock`, or the environment file of your package manager.
    ## Source
    PyTorch note on reproducibility (results are not reproducible across releases).
    ## Known false alarms
    Environments that are kept elsewhere: container images, module systems of a cluster.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.environment
        if found is None:
            raise NotEnoughEvidence("the surroundings of the run were not recorded")
        if not run.info.steps and not run.info.backwards:
            raise NotApplicable("nothing was trained")
        if not found.pinned_by:
            versions = ", ".join(f"{name} {version}" for name, version in list(found.packages.items())[:3])
            yield Finding(
                f"No file beside the script names exact versions; this run used Python {found.python}"
                + (f", {versions}." if versions else "."),
                location=Location(run.info.script, 1) if run.info.script else None,
                evidence={"python": found.python, "packages": found.packages},
            )
