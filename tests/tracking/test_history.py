"""The recorded runs of a folder: found, filtered, sorted, fast."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flightcheck.cli.main import main
from flightcheck.diagnosis.engine import diagnose
from flightcheck.errors import UsageError
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.store import RunWriter
from flightcheck.tracking import history
from flightcheck.tracking.query import parse, select, sorted_by
from flightcheck.tracking.summary import SUMMARY_FILE, read_summary, write_json, write_labels, write_summary
from tests.cli.made import PROBABILITIES, write_run


def summary(name: str, **more: Any) -> dict[str, Any]:
    values = {"lr": more.pop("lr", 0.1), "batch_size": 32.0, "optimizer": "SGD"}
    return {
        "schema": "flightcheck.summary/1", "id": name, "started": f"2026-11-{int(name[1:]) % 28 + 1:02}", "steps": 300,
        "command": "train.py --width 64 --fast", "ended": "finished", "loss": 0.5, "values": values,
        "findings": [], "roots": [], "seeds": {"torch": 3}, "declared": {"epochs": 4}, **more,
    }  # fmt: skip


RUNS = [
    summary("r1", lr=1e-4, findings=["L03", "C07"], roots=["L03"], tags=["baseline", "big"], loss=0.7),
    summary("r2", lr=1e-2, findings=["L03"], roots=["L03"], loss=0.1),
    summary("r3", lr=1e-4, loss=None, ended="exception"),
    summary("r4", command="train.py --width=128", note="the good one"),
]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("lr<1e-3 and finding=L03", "r1"),
        ("lr<=1e-4 or lr>0.05", "r1 r3 r4"),
        ("not finding=l03", "r3 r4"),
        ("finding!=C07", "r2 r3 r4"),
        ("(lr<1e-3 or loss<0.2) and not ended=exception", "r1 r2"),
        ("tag=baseline and tag=big", "r1"),
        ("width>=128", "r4"),
        ("width=64 and fast=true", "r1 r2 r3"),
        ("note~GOOD", "r4"),
        ('note="the good one"', "r4"),
        ("seed=3 and epochs=4 and batch-size=32 and optimizer=sgd", "r1 r2 r3 r4"),
        ("loss>0", "r1 r2 r4"),
        ("started<2026-11-03", "r1"),
    ],
)
def test_conditions(condition: str, found: str) -> None:
    assert [r["id"] for r in select(RUNS, [condition])] == found.split()


@pytest.mark.parametrize("text", ["lr<", "lr", "<3", "(lr<1", "lr<1 and", "lr<1 loss<2", "lr<1)", "a=(b)"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(UsageError, match="cannot"):
        parse(text)


def test_an_unknown_name_is_said_with_what_was_meant() -> None:
    with pytest.raises(UsageError, match=r"no run has 'batchsize'; did you mean batch_size"):
        select(RUNS, ["batchsize=3"])


def test_order() -> None:
    assert [r["id"] for r in sorted_by(RUNS, "loss")] == ["r2", "r4", "r1", "r3"]
    assert [r["id"] for r in sorted_by(RUNS, "-loss")] == ["r1", "r4", "r2", "r3"]
    assert [r["id"] for r in sorted_by(RUNS, "command")] == ["r1", "r2", "r3", "r4"]


def test_several_optimizers_have_several_rates() -> None:
    run = summary("r1") | {"values": {"optimizer_1_lr": 0.1, "optimizer_2_lr": 0.2}}
    assert select([run], ["lr=0.2"]) == [run]


# -- folders --------------------------------------------------------------------------------------------------------


def folder_of(runs: Path, made: dict[str, Any]) -> Path:
    folder = runs / str(made["id"])
    folder.mkdir(parents=True)
    (folder / "run.sqlite").touch()
    write_json(folder / SUMMARY_FILE, made)
    return folder


def test_the_index_follows_the_folders(tmp_path: Path) -> None:
    for made in RUNS:
        folder_of(tmp_path, made)
    (tmp_path / "no run").mkdir()
    assert [r["id"] for r in history.all_runs(tmp_path)] == ["r4", "r3", "r2", "r1"]
    shutil.rmtree(tmp_path / "r2")
    write_json(tmp_path / "r1" / SUMMARY_FILE, RUNS[0] | {"loss": 9.0})
    found = history.all_runs(tmp_path)
    assert [(r["id"], r["loss"]) for r in found] == [("r4", 0.5), ("r3", None), ("r1", 9.0)]
    assert found == history.all_runs(tmp_path)


def test_what_changes_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, RUNS[0])
    before = folder.stat()
    assert history.all_runs(tmp_path)[0]["note"] == ""
    write_labels(folder, {"tags": [], "note": "later"})
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert history.all_runs(tmp_path)[0]["note"] == "later"


def test_what_has_not_changed_for_long_is_read_from_the_index(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, RUNS[0])
    os.utime(folder, (0, 0))
    assert len(history.all_runs(tmp_path)) == 1
    (folder / SUMMARY_FILE).write_text("overwritten in place: the folder's time stays")
    assert history.all_runs(tmp_path)[0]["command"] == RUNS[0]["command"]


def test_a_copied_run_goes_by_the_name_of_its_folder(tmp_path: Path) -> None:
    shutil.copytree(folder_of(tmp_path / "here", RUNS[0]), tmp_path / "there" / "copy")
    assert [r["id"] for r in history.all_runs(tmp_path / "there")] == ["copy"]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 400])
def test_a_damaged_index_costs_nothing_but_time(tmp_path: Path, content: bytes) -> None:
    os.utime(folder_of(tmp_path, RUNS[0]), (0, 0))
    (tmp_path / history.INDEX_FILE).write_bytes(content)
    for _ in range(3):
        assert len(history.all_runs(tmp_path)) == 1
    assert list(history._indexed(tmp_path)) == ["r1"], "it was made anew"


def test_no_folder_no_runs(tmp_path: Path) -> None:
    assert history.all_runs(tmp_path / "nowhere") == []


def test_a_run_without_a_summary_is_listed_and_show_adds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "old", PROBABILITIES)
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    assert "?" in capsys.readouterr().out
    assert main(["runs", "--runs-dir", str(tmp_path), "--where", "finding=L03"]) == 0
    assert "of 1 run no findings are recorded" in capsys.readouterr().err
    main(["show", "--runs-dir", str(tmp_path), "old"])
    capsys.readouterr()
    assert main(["runs", "--runs-dir", str(tmp_path), "--where", "finding=L03", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert (found["id"], found["roots"]) == ("old", ["L03"])


def test_a_run_file_that_is_none_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.sqlite").write_text("no database")
    assert history.all_runs(tmp_path) == []
    assert read_summary(tmp_path / "broken") is None


def test_ten_thousand_runs_in_half_a_second(tmp_path: Path) -> None:
    for i in range(10_000):
        folder = folder_of(tmp_path, summary(f"r{i}", lr=10.0 ** -(i % 7), findings=["L03"] if i % 3 else []))
        os.utime(folder, (i, i))  # they are not all of this second
    command = [sys.executable, "-m", "flightcheck", "runs", "--runs-dir", str(tmp_path), "--limit", "0"]

    def once(*more: str) -> tuple[float, list[str]]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)  # of the processor: the machine may be busy
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return took, done.stdout.splitlines()

    def seconds(*more: str) -> tuple[float, list[str]]:
        """The least of some: what else the machine does costs processor time, too, and only adds."""
        took, lines = once(*more)
        for _ in range(20):
            if took < 0.5:
                break
            took = min(took, once(*more)[0])
        return took, lines

    once()  # the first time reads the summaries
    took, lines = seconds()
    assert len(lines) == 10_001
    filtered, some = seconds("--where", "lr<1e-3 and finding=L03", "--sort", "loss")
    assert 1000 < len(some) < 4000
    assert max(took, filtered) < 0.5, (took, filtered)


def test_a_summary_of_somebody_who_looked_while_the_run_went_on(tmp_path: Path) -> None:
    """The run was killed later: how far it came is told, and not what was found until that look."""
    writer = RunWriter(tmp_path / "r")
    writer.put(RunInfo("r", "train.py", "train.py"))
    for step in range(10):
        writer.frame(LOSS, step, [1.0])
    writer.flush(force=True)
    run = Run.open(tmp_path / "r")
    write_summary(run, diagnose(run, []))
    (looked,) = history.all_runs(tmp_path)
    assert (looked["ended"], looked["steps"], looked["loss"], looked["findings"]) == ("running", 10, 1.0, [])
    for step in range(10, 30):
        writer.frame(LOSS, step, [0.5])
    writer.flush(force=True)
    (later,) = history.all_runs(tmp_path)
    assert (later["ended"], later["steps"], later["loss"], later["findings"]) == ("running", 30, None, None)
    writer.put(RunInfo("r", "train.py", "train.py", steps=30, ended="finished"))
    writer.close()
    assert history.all_runs(tmp_path)[0]["ended"] == "finished"
