"""Runs for the page, with everything that it can show; and a reader that is strict about markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np

from flightcheck.checks.base import Finding
from flightcheck.diagnosis import Diagnosis, diagnose
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.distributions import QUANTILES, packed
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Coverage, Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import (
    ACTIVATION_DEAD,
    ACTIVATION_RMS,
    ACTIVATION_SATURATED,
    GRAD_NORM,
    GRADIENT_SPREAD,
    LEARNING_RATE,
    LOSS,
    UPDATE_NORM,
    WEIGHT_NORM,
    WEIGHT_SPREAD,
)
from flightcheck.testing import run_of
from tests.report.made import DOUBLED
from tests.verdicts import failed, passed, undecided

HOSTILE = (
    "<script>window.hit=1</script>",
    "\"'><img src=x onerror=window.hit=1>",
    "</script><script>window.hit=1</script>",
    "x" * 10_000,
    "שלום עולם",
    "\u202egnp.exe",
    "a\x00b\x1b[31mred",
    "<!-- ]]> &amp; {{7*7}}",
)
TRIED = Experiment(
    "L03", "drop-module:softmax", status="confirmed", metric="error", before=0.821, after=0.519, start=2.26, seeds=3,
    steps=60, low=0.23, high=0.37, margin=0.016, p=0.0002, seconds=20.0,
    diff="- self.softmax = nn.Softmax(dim=1)\n+ self.softmax = nn.Identity()",
    controls=[[2.2, 1.4, 0.82], [2.3, 1.5, 0.84], [2.2, 1.3, 0.81]],
    patched=[[2.2, 1.0, 0.51], [2.3, 0.9, 0.53], [2.2, 0.9, 0.52]],
)  # fmt: skip


def training(layers: int = 4, steps: int = 60, name: str = "layer", every: int = 1) -> Run:
    """A training of a chain of layers, each with a weight; all numbers are told by their position."""
    modules = [ModuleInfo(0, "Net", "Net", "container", 0, Location("train.py", 90), leaf=False, order=layers)]
    parameters = []
    for i in range(1, layers + 1):
        where = Location("train.py", 10 + i)
        modules.append(ModuleInfo(i, f"Net.{name}{i}", "Linear", "linear", 0, where, order=i - 1, trainable=True))
        held = ParameterInfo(i - 1, f"Net.{name}{i}.weight", i, [8, 8], "matrix", optimizers=[0], numel=64)
        parameters.append(held)
    t = np.arange(steps)[:, None]
    column = np.arange(layers)[None, :]
    norms = np.exp(-column / 2.0 - t / 100.0)
    series: dict[Any, Any] = {
        LOSS: (2.0 * np.exp(-np.arange(steps) / 20.0) + 0.5).tolist(),
        LEARNING_RATE: [[0.1] if i < steps // 2 else [0.01] for i in range(steps)],
        GRAD_NORM: norms.tolist(),
        WEIGHT_NORM: np.full((steps, layers), 2.0).tolist(),
        UPDATE_NORM: (norms * 1e-3).tolist(),
        ACTIVATION_RMS: np.hstack([np.full((steps, 1), -1.0), norms + 1.0]).tolist(),
        ACTIVATION_DEAD: np.hstack([np.full((steps, 1), -1.0), np.tile(column / layers, (steps, 1))]).tolist(),
        ACTIVATION_SATURATED: np.hstack([np.full((steps, 1), -1.0), np.tile(t / steps, (1, layers))]).tolist(),
    }
    series |= spread_series(layers)
    return run_of(
        Coverage(modules=layers, modules_seen=layers, sampled_steps=steps, steps=steps * every, every=float(every)),
        RootInfo(0, "Net", "Net", Location("train.py", 90)),
        OptimizerInfo(0, "Adam", groups=[{"lr": 0.1}], parameters=list(range(layers)), steps=steps),
        *modules, *parameters, TRIED,
        Evaluation(steps - 1, 0, 1, None, loss_value=0.7),
        series=series, every=every, id="20261123-1", command="train.py --lr 0.1", steps=steps * every, evaluations=1,
        ended="stopped", overhead=0.0131, seconds=12.3,
    )  # fmt: skip


def spread_series(layers: int) -> dict[Any, Any]:
    """Weights that lie evenly around 0 and widen with the steps; half of each gradient is exactly 0, the last is NaN."""
    even = np.linspace(-1, 1, QUANTILES, dtype=np.float32)
    half = np.where(even < 0, 0, even)
    weights = [packed(dict.fromkeys(range(layers), even * (1 + step))) for step in range(10)]
    gradients = [packed(dict.fromkeys(range(layers), half * (step < 9 or np.nan))) for step in range(10)]
    return {WEIGHT_SPREAD: weights, GRADIENT_SPREAD: gradients}


FOUND = (
    replace(DOUBLED, findings=(replace(DOUBLED.findings[0], module="Net.layer4"),)),
    failed("P33", 30),
    failed("C07", 20, message="The gradient fades."),
    failed("P13", 40, location=Location("train.py", 12), message="Weight decay 0.5 shrinks norm gains."),
    failed("T01", message="No seed is set."),
    passed("P01"),
    passed("D01"),
    undecided("D07", "1 of 8 batches"),
)


def broken(**options: Any) -> tuple[Run, Diagnosis]:
    """A training with findings."""
    run = training(**options)
    return run, diagnose(run, FOUND)


def hostile() -> tuple[Run, Diagnosis]:
    """Every string that comes from the user's program is an attack."""
    run = training(layers=len(HOSTILE))
    for i, text in enumerate(HOSTILE, 1):
        module = run.records["ModuleInfo"][i]
        where = Location(f"{text}.py", 7, text, text)
        run.records["ModuleInfo"][i] = replace(
            module, path=f"Net.{text}", type=text, location=where, settings={text: text}
        )
    info = run.info
    run.records["RunInfo"][0] = replace(
        info, command=HOSTILE[0], script=HOSTILE[1], ended="exception", error=HOSTILE[2]
    )
    run.records["Coverage"][0] = replace(run.coverage, blind=list(HOSTILE))
    run.records["OptimizerInfo"][0] = replace(run.optimizers[0], type=HOSTILE[2])
    run.records["Experiment"] = [
        replace(TRIED, reason=HOSTILE[0], diff=f"- {HOSTILE[2]}\n+ {HOSTILE[1]}", metric=HOSTILE[0])
    ]
    run.__dict__.pop("info", None)
    run.__dict__.pop("coverage", None)
    findings = tuple(
        Finding(text, Location(f"{text}.py", 7, text, text), f"Net.{text}", fix=text, evidence={text: text}, patch=text)
        for text in HOSTILE
    )
    return run, diagnose(run, [replace(DOUBLED, findings=findings), undecided("D07", HOSTILE[0])])


class Reader(HTMLParser):
    """Reads a page: elements must be closed in order, and identifiers are there once."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(set(self.ids)) == len(self.ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in self.VOID:
            self.open.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.targets.append(str(found.get("href")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())
