"""The read-only view of a recorded run that checks receive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from flightcheck.recording import starting_point as _starting_point  # noqa: F401 # so that its records can be read
from flightcheck.recording import store
from flightcheck.recording.as_data import from_data
from flightcheck.recording.batches import Batch, Evaluation
from flightcheck.recording.data_flow import DataFlow
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.experiments import Experiment, Probe, TrialInfo
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.kept_states import KeptState
from flightcheck.recording.layouts import Reshape
from flightcheck.recording.loss_records import (
    LossAxes,
    LossCall,
    LossSite,
    LossTerm,
    TargetShift,
)
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.outline import as_table, as_text
from flightcheck.recording.output import Line, OutputPart, lines_of
from flightcheck.recording.printed import PrintedNumber
from flightcheck.recording.records import (
    RECORDS,
    Call,
    Coverage,
    GraphCut,
    LoaderInfo,
    Location,
    ModuleInfo,
    NonFinite,
    OptimizerInfo,
    ParameterInfo,
    Plan,
    RootInfo,
    RunInfo,
    SchedulerInfo,
    Seeding,
)
from flightcheck.recording.samplers import SamplerInfo
from flightcheck.recording.saved_weights import SavedWeights
from flightcheck.recording.sequences import PaddedRead
from flightcheck.recording.signals import Signal
from flightcheck.recording.states import (
    BatchStatistics,
    SecondMoments,
    StoredUpdate,
)
from flightcheck.recording.surroundings import Comparison, Environment, Resources, Setting
from flightcheck.recording.system_use import SystemUse
from flightcheck.recording.tables import Series, Table
from flightcheck.recording.wiring import RepeatedModule as _RepeatedModule  # noqa: F401 # so that they can be read

T = TypeVar("T")


class NotEnoughEvidence(Exception):
    """A check cannot decide; its verdict is *inconclusive* with this reason."""


class NotApplicable(Exception):
    """A check has nothing to look at in this training; its verdict is *skipped* with this reason."""


@dataclass(repr=False)
class Run:
    """Everything recorded of one training. Checks read it and never change it. A notebook shows it as a small table."""

    records: dict[str, list[Any]] = field(default_factory=dict)
    frames: dict[str, store.Frame] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    path: Path | None = None
    unread: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    """Records of kinds whose module was not imported yet, as they were stored: read when somebody asks for them."""

    @classmethod
    def open(cls, path: Path) -> Run:
        """Read a run folder or run file.

        Raises:
            RunFileError: see `flightcheck.recording.store.read`.
        """
        return cls.of(*store.read(path), path)

    @classmethod
    def of(
        cls,
        raw: dict[str, list[tuple[int, dict[str, Any]]]],
        frames: dict[str, store.Frame],
        damage: list[str],
        path: Path,
    ) -> Run:
        """A run of what `flightcheck.recording.store.read` returned."""
        run = cls({}, frames, damage, path, dict(raw))
        for kind in raw:
            if kind in RECORDS:
                run._read(kind)
        return run

    def _read(self, kind: str) -> None:
        """Make records of what was stored of this kind."""
        for index, data in self.unread.pop(kind, ()):
            try:
                self.records.setdefault(kind, []).append(from_data(RECORDS[kind], data))
            except (TypeError, ValueError, AttributeError):
                self.damage.append(f"record {kind} {index}")

    __repr__ = as_text
    _repr_html_ = as_table

    def _all(self, cls: type[T]) -> list[T]:
        if cls.__name__ in self.unread and cls.__name__ in RECORDS:
            self._read(cls.__name__)
        return self.records.get(cls.__name__, [])

    def recorded(self, cls: type[T]) -> list[T]:
        """All records of a kind that has no attribute of its own here."""
        return self._all(cls)

    def _one(self, cls: type[T], default: T) -> T:
        found = self._all(cls)
        return found[0] if found else default

    @cached_property
    def info(self) -> RunInfo:
        info = self._one(RunInfo, RunInfo("", "", ""))
        if info.ended != "running" or info.steps:
            return info
        last = [
            int(steps[-1]) for steps, _ in self.frames.values() if len(steps)
        ]  # how many is written at the end only
        return replace(info, steps=max(last) + 1) if last else info

    @cached_property
    def coverage(self) -> Coverage:
        return self._one(Coverage, Coverage())

    @cached_property
    def plan(self) -> Plan:
        return self._one(Plan, Plan())

    @cached_property
    def seeding(self) -> Seeding | None:
        return found[0] if (found := self._all(Seeding)) else None

    @cached_property
    def resources(self) -> Resources | None:
        return found[0] if (found := self._all(Resources)) else None

    @property
    def system_use(self) -> SystemUse | None:
        return found[0] if (found := self._all(SystemUse)) else None

    @cached_property
    def environment(self) -> Environment | None:
        return found[0] if (found := self._all(Environment)) else None

    @property
    def data_flow(self) -> DataFlow | None:
        """Which module's output reached which, as far as gradients show it."""
        return found[0] if (found := self._all(DataFlow)) else None

    @property
    def data_digests(self) -> list[DataDigest]:
        return self._all(DataDigest)

    @property
    def comparisons(self) -> list[Comparison]:
        return self._all(Comparison)

    @property
    def roots(self) -> list[RootInfo]:
        return self._all(RootInfo)

    @property
    def modules(self) -> list[ModuleInfo]:
        return self._all(ModuleInfo)

    @property
    def parameters(self) -> list[ParameterInfo]:
        return self._all(ParameterInfo)

    @property
    def optimizers(self) -> list[OptimizerInfo]:
        return self._all(OptimizerInfo)

    @property
    def schedulers(self) -> list[SchedulerInfo]:
        return self._all(SchedulerInfo)

    @property
    def loaders(self) -> list[LoaderInfo]:
        return self._all(LoaderInfo)

    @property
    def loss_sites(self) -> list[LossSite]:
        return self._all(LossSite)

    @property
    def loss_calls(self) -> list[LossCall]:
        return self._all(LossCall)

    @property
    def loss_terms(self) -> list[LossTerm]:
        return self._all(LossTerm)

    @property
    def loss_axes(self) -> list[LossAxes]:
        return self._all(LossAxes)

    @property
    def padded_reads(self) -> list[PaddedRead]:
        return self._all(PaddedRead)

    @property
    def target_shifts(self) -> list[TargetShift]:
        return self._all(TargetShift)

    @property
    def calls(self) -> list[Call]:
        return self._all(Call)

    @property
    def batches(self) -> list[Batch]:
        return self._all(Batch)

    @property
    def evaluations(self) -> list[Evaluation]:
        return self._all(Evaluation)

    @property
    def graph_cuts(self) -> list[GraphCut]:
        return self._all(GraphCut)

    @property
    def reshapes(self) -> list[Reshape]:
        return self._all(Reshape)

    @property
    def non_finite(self) -> list[NonFinite]:
        return self._all(NonFinite)

    @property
    def experiments(self) -> list[Experiment]:
        return self._all(Experiment)

    @property
    def trial(self) -> TrialInfo | None:
        """What this run tries, where it is a trial itself."""
        return found[0] if (found := self._all(TrialInfo)) else None

    @property
    def probes(self) -> list[Probe]:
        return self._all(Probe)

    def probe(self, name: str) -> Probe:
        """What was measured in a trial under this name.

        Raises:
            NotEnoughEvidence: it was not.
        """
        found = next((p for p in self.probes if p.name == name), None)
        if found is None:
            raise NotEnoughEvidence(f"no trial measured {name}")
        return found

    @property
    def kept_states(self) -> list[KeptState]:
        return self._all(KeptState)

    @property
    def settings(self) -> list[Setting]:
        return self._all(Setting)

    @property
    def stored_updates(self) -> list[StoredUpdate]:
        return self._all(StoredUpdate)

    @property
    def second_moments(self) -> list[SecondMoments]:
        return self._all(SecondMoments)

    @property
    def batch_statistics(self) -> list[BatchStatistics]:
        return self._all(BatchStatistics)

    @property
    def datasets(self) -> list[DatasetInfo]:
        return self._all(DatasetInfo)

    @property
    def samplers(self) -> list[SamplerInfo]:
        return self._all(SamplerInfo)

    @property
    def saved_weights(self) -> list[SavedWeights]:
        return self._all(SavedWeights)

    @property
    def printed(self) -> list[PrintedNumber]:
        """Numbers that the script printed: in trials only."""
        return self._all(PrintedNumber)

    @property
    def output(self) -> list[Line]:
        """What the script printed, line by line; what is not kept of very much is told as a gap."""
        return lines_of(self._all(OutputPart))

    @property
    def metrics(self) -> list[MetricInfo]:
        """The script's own numbers: logged, printed, or sent to a tracker."""
        return self._all(MetricInfo)

    def series(self, signal: Signal, at_least: int = 1) -> Series:
        """A signal of scope ``step``.

        Raises:
            NotEnoughEvidence: fewer than `at_least` samples.
        """
        table = self.table(signal, at_least)
        return Series(table.steps, table.values[:, 0])

    def table(self, signal: Signal, at_least: int = 1) -> Table:
        """A signal of any scope, one row per sampled step.

        Raises:
            NotEnoughEvidence: fewer than `at_least` samples.
        """
        steps, rows = self.frames.get(signal.name, (np.empty(0, np.int64), []))
        if len(steps) < at_least:
            raise NotEnoughEvidence(f"{signal.in_words}: {len(steps)} of {at_least} measurements")
        width = max((len(r) for r in rows), default=0)
        values = np.full((len(rows), max(width, 1)), np.nan)
        recorded = np.zeros_like(values, dtype=bool)
        for i, row in enumerate(rows):
            values[i, : len(row)] = row
            recorded[i, : len(row)] = True
        return Table(steps, values, recorded)

    def training_calls(self, *functions: str) -> list[LossCall]:
        """Observed loss calls with gradient, optionally of certain functions only."""
        names = {s.index: s.function for s in self.loss_sites}
        return [c for c in self.loss_calls if c.training and (not functions or names.get(c.site) in functions)]

    def site(self, call: LossCall) -> LossSite:
        """The site of a loss call."""
        return next(s for s in self.loss_sites if s.index == call.site)

    def module(self, index: int) -> ModuleInfo | None:
        modules = self.modules
        if 0 <= index < len(modules) and modules[index].index == index:  # as they are recorded
            return modules[index]
        return next((m for m in modules if m.index == index), None)

    def trained(self, parameter: ParameterInfo) -> bool:
        """The parameter is meant to learn: it wants a gradient and an optimizer that steps holds it."""
        stepping = {o.index for o in self.optimizers if o.steps}
        return parameter.requires_grad and bool(stepping.intersection(parameter.optimizers))

    def location_of(self, parameter: ParameterInfo) -> Location | None:
        """The line that constructed the parameter's module."""
        module = self.module(parameter.module)
        return parameter.location or (module.location if module else None)

    @property
    def maximizes(self) -> bool:
        """An optimizer makes its loss larger: that it grows is progress."""
        return any(g.get("maximize") for o in self.optimizers if o.steps for g in o.groups)

    def in_regime(self, *names: str) -> bool:
        """The learning pass recognized one of these regimes (see `Plan.regimes`)."""
        return any(n in self.plan.regimes for n in names)
