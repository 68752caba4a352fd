"""What reading a run costs grows as the run does."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.growth import record, slope
from flightcheck.checks.registry import run_checks
from flightcheck.recording.run import Run


def tables_read(folder: Path, tensors: int, monkeypatch: pytest.MonkeyPatch) -> int:
    record(folder, 150, tensors)
    run, read = Run.open(folder), []
    real = Run.table
    with monkeypatch.context() as patched:
        patched.setattr(Run, "table", lambda *a: (read.append(a), real(*a))[1])
        assert not [v for v in run_checks(run) if v.status == "error"]
    return len(read)


def test_checks_read_each_table_a_few_times_however_many_tensors_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (tables_read(tmp_path / str(n), n, monkeypatch) for n in (10, 200))
    assert many == few


def test_a_slope() -> None:
    assert slope([(10, 3.0), (100, 30.0)]) == pytest.approx(1.0)
    assert slope([(10, 3.0), (100, 3.0), (1000, 3.0)]) == pytest.approx(0.0, abs=1e-12)
