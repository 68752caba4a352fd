"""C09 signal-lost-at-init."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from flightcheck.checks.connections.c09_signal_lost_at_init import CENTRED
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.signals import ACTIVATION_RMS, ACTIVATION_SPREAD, LOSS, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import BATCHES, line, network, with_parameters

FLAT = np.full(60, 2.3)
FALLING = np.linspace(2.3, 0.4, 60)


def verdict(
    start: list[float], scale: float, end: float, loss: Any, records: Any = None, batches: Any = BATCHES
) -> Any:
    depth = len(start)

    def spread_of(values: Any) -> list[float]:
        return [v for value in values for v in (value, value)][: 2 * depth - 1]

    rows = [spread_of(start)] * 3 + [spread_of([end] * depth)] * 9
    sizes = [[max(scale, v) for v in row] for row in rows]
    signals = {ACTIVATION_SPREAD: rows, ACTIVATION_RMS: sizes, LOSS: loss}
    return verdict_of("C09", run_of(*(records or network(depth)), *batches, series=signals))


LOST = [0.3 * 0.1**i for i in range(8)]


def test_a_signal_that_fades_and_never_comes_back_fails() -> None:
    (finding,) = verdict(LOST, 0.02, 1e-8, FLAT).findings
    assert finding.severity is None
    assert finding.location is not None


def test_the_line_that_wrote_the_weights_is_named() -> None:
    (finding,) = verdict(LOST, 0.02, 1e-8, FLAT, network(8, write_location=line(33))).findings
    assert finding.location == line(33)


def test_tiny_weights_without_biases_fail() -> None:
    assert verdict([1e-3 * 1e-3**i for i in range(4)], 0.0, 1e-11, FLAT).status == "fail"


def test_weights_that_are_far_too_large_fail() -> None:
    assert verdict([10.0 * 15.0**i for i in range(5)], 0.0, 1.0, FALLING).status == "fail"


def test_training_that_gets_over_it_is_info() -> None:
    (finding,) = verdict(LOST, 0.02, 0.5, FALLING).findings
    assert finding.severity == "info"


def test_default_initialization_of_five_layers_passes() -> None:
    assert verdict([0.3 / 2.4**i for i in range(5)], 0.1, 0.5, FALLING).status == "pass"


def test_zero_initialized_layers_are_left_out() -> None:
    records = with_parameters(network(6), 4, 5, zero=True)
    assert verdict([0.3, 0.3, 0.3, 0.3, 0.0, 0.0], 0.02, 0.5, FALLING, records).status == "pass"


def test_single_examples_are_inconclusive() -> None:
    batches = [replace(b, shape=[1, 8]) for b in BATCHES]
    assert verdict(LOST, 0.02, 1e-8, FLAT, batches=batches).status == "inconclusive"


def test_shallow_models_are_skipped() -> None:
    assert verdict([0.3, 1e-9], 0.02, 0.3, FLAT).status == "skipped"


USUAL = 32**0.5 * 0.6
"""Norm of a matrix of 32 by 32 whose spread is 0.6/√32."""


def proved(norms: list[float], status: Any = "confirmed", **changes: Any) -> Any:
    e = Experiment("C09", "reinit:default", status=status, metric="error", before=2.3, after=0.5, start=2.3, steps=80)
    series = {WEIGHT_NORM: [norms]}
    return verdict_of("C09", run_of(*network(len(norms), **changes), *BATCHES, e, series=series))


def test_weights_drawn_anew_that_learn_prove_it() -> None:
    (finding,) = proved([USUAL, 0.01 * USUAL, 30 * USUAL], write_location=line(33)).findings
    assert (finding.severity, finding.location, finding.patch) == (None, line(33), "reinit:default")
    assert finding.parameters == (1, 2)
    assert "The weights of 2 of 3 matrices start with 0.006 to 18 times the usual spread" in finding.message


def test_usual_weights_are_not_proved_wrong_by_it() -> None:
    assert proved([USUAL, 2 * USUAL, 0.3 * USUAL]).status == "inconclusive"  # what it measures was not recorded
    assert proved([USUAL, 0.01 * USUAL, USUAL], "refuted").status == "inconclusive"


def test_weights_that_are_all_tiny_fail_where_dropout_makes_examples_differ() -> None:
    def found(weights: list[float], loss: Any) -> list[Any]:
        spreads = {ACTIVATION_SPREAD: [[1e-3] * 7] * 60, ACTIVATION_RMS: [[0.05] * 7] * 60}  # of the dropout's making
        series = {**spreads, LOSS: loss, WEIGHT_NORM: [[w * 32**0.5 for w in weights]] * 60}
        records = network(4, write_location=line(33))
        return list(verdict_of("C09", run_of(*records, *BATCHES, series=series)).findings)

    (finding,) = found([1e-3] * 4, FLAT)
    assert (finding.location, finding.severity) == (line(33), None)
    assert not found([1e-3, 1e-3, 1e-3, 0.5], FLAT)
    assert not found([1e-3] * 4, FALLING)


def test_weights_of_one_sign_warn_where_nothing_is_learned() -> None:
    records = network(4, one_sign=True, write_location=line(12))
    (finding,) = verdict([0.3] * 4, 0.3, 0.3, FLAT, records).findings
    assert (finding.location, finding.evidence["one_sign"]) == (line(12), 4)
    assert verdict([0.3] * 4, 0.3, 0.3, FALLING, records).status == "pass"
    assert verdict([0.3] * 4, 0.3, 0.3, FLAT, with_parameters(records, 0, 1, 2, one_sign=False)).status == "pass"


def test_weights_of_one_sign_fail_where_weights_around_zero_learn_better() -> None:
    records = [*network(4, one_sign=True, write_location=line(12)), Experiment("C09", CENTRED, status="confirmed")]
    own = [replace(r, kind="other") if isinstance(r, ModuleInfo) and r.kind == "linear" else r for r in records]
    for given in (records, own):
        (finding,) = verdict([0.3] * 4, 0.3, 0.3, FALLING, given).findings
        assert (finding.location, finding.patch) == (line(12), CENTRED)
    tables = [replace(r, path="net") if isinstance(r, ModuleInfo) else r for r in own]
    assert verdict([0.3] * 4, 0.3, 0.3, FALLING, tables).status != "fail", "factors that the model itself holds"
