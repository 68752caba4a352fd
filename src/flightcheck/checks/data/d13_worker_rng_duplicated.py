"""D13: the workers of a DataLoader draw the same random numbers."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, check
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.run import Run


@check(
    "D13",
    "worker-rng-duplicated",
    severity="error",
    evidence="X",
    needs=("datasets",),
    fix="Make the generator in the worker: in `worker_init_fn`, seeded with `torch.initial_seed()`.",
)
class WorkerRngDuplicated(Check):
    """The workers of a training loader draw the same random numbers, and the same again in every epoch.

    ## What it checks
    Loaders with worker processes that feed the training: does the dataset's own code draw from a generator (NumPy,
    Python, PyTorch) that lies in one of its attributes, without a `worker_init_fn` that could renew it? Every worker
    has a copy of it. Or does the `worker_init_fn` set one constant seed for a generator that the dataset draws from?
    ## Why it matters
    Different examples get the same augmentation, and an example gets the same one in every epoch: there is much less
    variety than the code seems to make.
    ## How to fix
    `worker_init_fn=lambda i: setattr(get_worker_info().dataset, "rng", np.random.default_rng(torch.initial_seed()))`,
    or draw from PyTorch's generator, which every worker seeds for itself.
    ## Source
    PyTorch issue 5059 and pull request 56488, which seeds NumPy's global generator only.
    ## Known false alarms
    A generator that a method uses for something else than examples.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        parallel = [d for d in run.datasets if d.trained and d.workers]
        if not parallel:
            raise NotApplicable("no training loader with worker processes")
        for info in parallel:
            reason = self._reason(info)
            if reason:
                yield Finding(
                    f"{reason} ({info.workers} worker{'s' * (info.workers > 1)}, dataset {info.type}).",
                    location=run.loaders[info.loader].location if 0 <= info.loader < len(run.loaders) else None,
                    evidence={"generators": info.copied_generators, "workers": info.workers},
                )

    def _reason(self, info: DatasetInfo) -> str:
        if info.same_worker_seed:
            return "The worker_init_fn gives every worker the same seed in every epoch"
        if info.copied_generators and not info.worker_init and not (info.persistent and info.workers == 1):
            again = "" if info.persistent else ", and begins anew with it in every epoch"
            return f"Every worker has a copy of the same random generator `{info.copied_generators[0]}`{again}"
        return ""
