"""What a training uses of its machine: recorded seldom, with the processes that it started, and shown."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from flightcheck.adapters.torch import system_use
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.adapters.torch.watch import Watch
from flightcheck.diagnosis import diagnose
from flightcheck.exporters.reader import RunReader
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import CPU_USE, GPU_MEMORY, LOSS, MEMORY
from flightcheck.recording.store import RunWriter
from flightcheck.recording.system_use import SystemUse as Record
from flightcheck.report.page.document import page
from flightcheck.testing import run_of


class Clock:
    """A time that stands until it is set; processor time goes on at half its speed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(system_use, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(system_use.SystemUse, "_seconds", lambda _: self.now / 2)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def used(tmp_path: Path) -> system_use.SystemUse:
    writer = RunWriter(tmp_path / "r1")
    writer.put(RunInfo("r1", "train.py", "train.py", ended="finished", steps=100))
    return system_use.SystemUse(Watch(writer, SourceLines()))


def recorded(used: system_use.SystemUse) -> Run:
    used.watch.writer.close()
    return Run.open(used.watch.writer.path.parent)


def test_looks_are_seldom_and_tell_the_mean_since_the_last_one(clock: Clock, used: system_use.SystemUse) -> None:
    used.begin()
    for step in range(1, 100):
        used.watch.step, clock.now = step, 100.0 + step * 0.5
        used.look()
    used.look(final=True)
    run = recorded(used)
    series = run.series(CPU_USE)
    assert series.steps.tolist() == [*range(3, 99, 4), 98]
    assert set(series.values.tolist()) == {0.5}
    assert run.series(MEMORY).values.min() > 10
    told = run.system_use
    assert told is not None
    assert (told.cpu_seconds, told.gpu_memory_peak) == (24.75, None)
    assert told.cores >= 1
    assert told.memory_peak is not None
    assert told.memory_peak >= 0.9 * run.series(MEMORY).values.max()
    with pytest.raises(NotEnoughEvidence):
        run.series(GPU_MEMORY)


def test_a_month_takes_a_bounded_number_of_looks(clock: Clock, used: system_use.SystemUse) -> None:
    used.begin()
    for step in range(1, 260_000):
        used.watch.step, clock.now = step, clock.now + 10.0
        before = used._last
        used.look()
        if used._last == before:
            assert clock.now - before < step * 10.0 / 1000 + 10
    assert 3000 < used.watch.writer._frames_kept[CPU_USE.name] < 10_000


def test_a_short_training_has_one_look_and_a_trial_none(clock: Clock, used: system_use.SystemUse) -> None:
    used.look(final=True)
    assert not used.watch.writer._frames
    used.begin()
    clock.now += 0.1
    used.look()
    assert not used.watch.writer._frames
    used.look(final=True)
    assert recorded(used).series(CPU_USE).values.tolist() == [0.5]


def test_processes_that_the_script_starts_count_and_ours_do_not(used: system_use.SystemUse) -> None:
    burn = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"
    start = [sys.executable, "-S", "-c", burn]
    pipe = subprocess.PIPE
    with subprocess.Popen(start, stdin=pipe, stdout=pipe) as ours:
        assert ours.stdout is not None
        ours.stdout.read(1)
        used.begin()
        before, own = used._seconds(), time.process_time()
        with subprocess.Popen(start, stdin=pipe, stdout=pipe) as theirs:
            assert theirs.stdout is not None
            theirs.stdout.read(1)
            running = used._seconds() - before - (time.process_time() - own)
        over = used._seconds() - before - (time.process_time() - own)
    if not (system_use._PROC / "thread-self/children").exists():
        pytest.skip("this system does not tell which processes were started")
    assert running == pytest.approx(0.3, abs=0.1)
    assert over == pytest.approx(0.3, abs=0.1)


def test_gpu_memory_over_all_devices(clock: Clock, used: system_use.SystemUse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda i: (i + 1) * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda i: (i + 1) * 2**22)
    used.begin()
    clock.now += 3.0
    used.look()
    run = recorded(used)
    assert run.series(GPU_MEMORY).values.tolist() == [3.0]
    assert run.system_use is not None
    assert run.system_use.gpu_memory_peak == 12.0


def test_it_is_shown_and_sent(clock: Clock, used: system_use.SystemUse) -> None:
    used.begin()
    for step in (10, 20, 30):
        used.watch.step, clock.now = step, clock.now + 3.0
        used.look()
    recorded(used)
    rows = RunReader(used.watch.writer.path.parent).rows({}, 10, settled=True)
    assert [(r.step, r.value) for r in rows if r.name == "system/processors"] == [(9, 0.5), (19, 0.5), (29, 0.5)]
    assert len([r for r in rows if r.name == "system/memory_mib"]) == 3


def test_the_page_shows_the_highest_also_between_two_looks() -> None:
    series = {LOSS: [1.0, 0.5], CPU_USE: [1.5, 1.7], MEMORY: [300.0, 400.0]}
    run = run_of(Record(8, 1234.5, 812.0, None), series=series)
    text = page(run, diagnose(run, []))
    part = text[text.index('<h2 id="machine">') :].partition("</section>")[0]
    assert "1,234 s of processor time" in part
    assert "8 processors were there" in part
    assert "data-chart" not in part  # a table is enough
    row = part[part.index('<th scope="row">Memory (MiB)') :].partition("</tr>")[0]
    assert row.count("<td>") == 4
    assert "<td>350</td><td>812</td><td>400</td>" in row
    assert "GPU" not in part
    assert "Use of the machine" not in page(run_of(series={LOSS: [1.0]}), diagnose(run_of(), []))
