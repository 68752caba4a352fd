"""T04: a run whose code nobody can find again."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_STATES = {
    "untracked": "The script is not in its git repository: the code of this run is kept nowhere.",
    "changed": "The script differs from what git holds (commit {commit}): the code of this run is kept nowhere.",
}


@check(
    "T04",
    "code-not-recorded",
    severity="info",
    evidence="X",
    needs=("environment",),
    fix="Commit the script before a run whose numbers are to be kept.",
)
class CodeNotRecorded(Check):
    """The script that runs is in no git repository, or differs from what the repository holds.

    ## What it checks
    Whether a git repository lies around the script, whether git's index holds the script, and with these contents.
    ## Why it matters
    A result belongs to the code that made it. What was changed since the last commit is overwritten by the next idea.
    ## How to fix
    `git add` and `git commit` before the run; the commit is then in the record of the run.
    ## Source
    Karpathy, A Recipe for Training Neural Networks; Pineau et al., the machine learning reproducibility checklist.
    ## Known false alarms
    Code kept by other means: another version control, a notebook, a container image. Modules are not looked at.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.environment
        if found is None:
            raise NotEnoughEvidence("the surroundings of the run were not recorded")
        if not run.info.steps and not run.info.backwards:
            raise NotApplicable("nothing was trained")
        if found.repository and not found.script:
            raise NotEnoughEvidence("the index of the git repository could not be read")
        message = _STATES.get(found.script, "") if found.repository else "The script lies in no git repository."
        if message:
            yield Finding(
                message.format(commit=found.commit[:10]),
                location=Location(run.info.script, 1) if run.info.script else None,
                evidence={"repository": found.repository, "script": found.script, "commit": found.commit},
            )
