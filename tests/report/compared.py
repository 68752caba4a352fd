"""Several runs of one training that differ in learning rate, optimizer and seed, and how they are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from flightcheck.cli.compare import letters
from flightcheck.diagnosis import diagnose
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.report.page.comparison import comparison_page
from flightcheck.tracking.compare import Recorded, compare, comparison_json
from tests.report.paged import FOUND, HOSTILE, training

STEPS = 2000


def trained(i: int) -> Run:
    """Run number i."""
    run = training()
    rate = 10.0 ** -(i % 4 + 1)
    loss = 2 * np.exp(-np.arange(STEPS) * rate) + 0.5 + 0.01 * i
    run.frames[LOSS.name] = (np.arange(STEPS), [np.float32([v]) for v in loss])
    optimizer = replace(run.optimizers[0], type=("Adam", "SGD")[i % 2], groups=[{"lr": rate, "weight_decay": i / 100}])
    run.records["OptimizerInfo"] = [optimizer]
    run.records["Evaluation"] = [Evaluation(s, 0, 1, None, loss_value=2 - s * rate + i) for s in (500, 1000)]
    own(run, epoch={500 * (k + 1): k + 1.0 for k in range(3)}, acc={500 * (k + 1): 0.5 + k * rate for k in range(3)})
    run.records["RunInfo"] = [replace(run.info, id=f"run-{i}", steps=STEPS, command=f"train.py --rate {rate}")]
    run.__dict__.pop("info", None)
    return run


def own(run: Run, **numbers: dict[int, float]) -> None:
    """What the script printed under each name, by step."""
    run.records["MetricInfo"] = [MetricInfo(i, name, "printed", len(n)) for i, (name, n) in enumerate(numbers.items())]
    for info, told in zip(run.records["MetricInfo"], numbers.values()):
        run.frames[info.signal] = (np.array(list(told)), [np.float32([v]) for v in told.values()])


def compared(*runs: Run) -> tuple[dict[str, Any], list[tuple[str, Run]]]:
    """What the page receives; every second run has findings."""
    named = list(zip(letters(len(runs)), runs))
    recorded = [Recorded(name, run, diagnose(run, FOUND if i % 2 else [])) for i, (name, run) in enumerate(named)]
    return comparison_json(compare(recorded)), named


def page_of(amount: int) -> str:
    """The page of so many runs."""
    return comparison_page(*compared(*map(trained, range(amount))))


def hostile_page() -> str:
    """Every string that comes from the users' programs is an attack."""
    runs = []
    for i, text in enumerate(HOSTILE):
        run = trained(i)
        run.records["OptimizerInfo"] = [replace(run.optimizers[0], type=text)]
        run.records["RunInfo"] = [
            replace(run.info, id=text, command=f"{text} --{text} {text}", script=text, error=text)
        ]
        own(run, **{text: {s: float(s) for s in (1, 5)}})
        run.__dict__.pop("info", None)
        runs.append(run)
    found, named = compared(*runs)
    found["differences"] += [
        {"kind": "code", "name": text, "values": [], "lines": [f"1 - {text}", text], "sentence": text}
        for text in HOSTILE
    ]
    found["findings"] += [f | {"message": t, "location": t} for t in HOSTILE for f in found["findings"][:1]]
    return comparison_page(found, named)
