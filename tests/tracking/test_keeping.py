"""Tags, notes, export, and the deletion of runs."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from flightcheck.cli.main import main
from flightcheck.tracking.parquet import _column
from flightcheck.tracking.summary import SUMMARY_FILE, change_labels, read_labels, write_json
from tests.tracking.test_history import RUNS, folder_of

Output = pytest.CaptureFixture[str]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for made in RUNS:
        folder_of(tmp_path / "runs", made)
    return tmp_path / "runs"


def ids(runs: Path, where: str, capsys: Output) -> list[str]:
    capsys.readouterr()
    assert main(["runs", "--runs-dir", str(runs), "--json", "--where", where]) == 0
    return [r["id"] for r in json.loads(capsys.readouterr().out)["runs"]]


def test_tags_are_found_and_taken_away(runs: Path, capsys: Output) -> None:
    assert main(["tag", "--runs-dir", str(runs), "r3", "baseline", "v1.0"]) == 0
    assert ids(runs, "tag=baseline and tag=v1.0", capsys) == ["r3"]
    main(["tag", "--runs-dir", str(runs), "r3"])
    assert capsys.readouterr().out == "baseline\nv1.0\n"
    main(["tag", "--runs-dir", str(runs), "--remove", "r3", "baseline"])
    assert ids(runs, "tag=baseline", capsys) == []
    assert ids(runs, "tag=v1.0", capsys) == ["r3"]


def test_tags_that_are_given_at_the_same_moment_are_all_kept(runs: Path) -> None:
    """The first has read what there was, and is slow to write; the second comes in between."""
    reading, go_on = threading.Event(), threading.Event()

    def slowly(had: dict[str, Any]) -> dict[str, Any]:
        reading.set()
        go_on.wait(5)
        return {**had, "tags": [*had["tags"], "slow"]}

    first = threading.Thread(target=change_labels, args=(runs / "r3", slowly))
    first.start()
    reading.wait(5)
    second = threading.Thread(target=main, args=(["tag", "--runs-dir", str(runs), "r3", "quick"],))
    second.start()
    second.join(0.2)
    assert second.is_alive(), "it did not wait for its turn"
    go_on.set()
    first.join(5)
    second.join(5)
    assert read_labels(runs / "r3")["tags"] == ["quick", "slow"]


def test_processes_that_tag_one_run_lose_nothing(runs: Path) -> None:
    code = (
        "import sys\nfrom flightcheck.cli.main import main\n"
        "for i in range(10): main(['tag', '--runs-dir', sys.argv[1], 'r3', f'{sys.argv[2]}{i}'])"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(runs), name]) for name in "ab"]
    assert [process.wait() for process in started] == [0, 0]
    assert len(read_labels(runs / "r3")["tags"]) == 20


def test_a_note_stays_with_the_folder(runs: Path, capsys: Output) -> None:
    main(["note", "--runs-dir", str(runs), "r2", "worse, and faster"])
    (runs / "r2").rename(runs / "moved")
    assert ids(runs, "note~faster", capsys) == ["moved"]
    main(["note", "--runs-dir", str(runs), "moved", ""])
    main(["note", "--runs-dir", str(runs), "moved"])
    assert capsys.readouterr().out == "no note\n"


def test_export(runs: Path, tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "runs.csv"
    assert main(["export", "--runs-dir", str(runs), "--sort", "loss", str(file)]) == 0
    assert capsys.readouterr().out == f"4 runs in {file}\n"
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [r["id"] for r in rows] == ["r2", "r4", "r1", "r3"]
    assert (rows[2]["lr"], rows[2]["findings"], rows[2]["seed_of_torch"]) == ("0.0001", "L03 C07", "3")
    main(["export", "--runs-dir", str(runs), "--where", "finding=L03", str(tmp_path / "runs.json")])
    assert len(json.loads((tmp_path / "runs.json").read_text())["runs"]) == 2
    capsys.readouterr()
    assert main(["export", "--runs-dir", str(runs), "-"]) == 0
    assert capsys.readouterr().out.startswith("id,started,command,ended,steps")


def test_parquet_is_written_where_arrow_is_installed(runs: Path, tmp_path: Path, capsys: Output) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Apache Arrow is not installed (pip install pyarrow)")
    write_json(runs / "r3" / SUMMARY_FILE, {**RUNS[2], "steps": 2.5, "seeds": {"torch": "0x3"}})
    file = tmp_path / "runs.parquet"
    assert main(["export", "--runs-dir", str(runs), "--sort", "id", str(file)]) == 0
    assert capsys.readouterr().out == f"4 runs in {file}\n"
    table = parquet.read_table(file)
    assert table["id"].to_pylist() == ["r1", "r2", "r3", "r4"]
    assert (table["loss"].to_pylist(), str(table.schema.field("loss").type)) == ([0.7, 0.1, None, 0.5], "double")
    assert table["steps"].to_pylist() == [300.0, 300.0, 2.5, 300.0]
    assert table["seed_of_torch"].to_pylist() == ["3", "3", "0x3", "3"], "of several kinds: text"
    assert table["findings"].to_pylist() == ["L03 C07", "L03", "", ""]
    assert main(["export", "--runs-dir", str(runs), str(tmp_path / "no/runs.parquet")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_parquet_without_arrow(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["export", "--runs-dir", str(runs), str(tmp_path / "runs.parquet")]) == 2
    error = capsys.readouterr().err
    assert "pip install pyarrow" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("values", "kept", "kind"),
    [
        ([True, None], [True, None], "bool"),
        ([1, None], [1, None], "int64"),
        ([1, 2.5, None], [1.0, 2.5, None], "float64"),
        ([2**64, 1], [2.0**64, 1.0], "float64"),
        ([True, 1], ["True", "1"], "string"),
        ([None], [None], "string"),
    ],
)
def test_a_column_is_of_one_kind(values: list[Any], kept: list[Any], kind: str) -> None:
    assert _column(values) == (kept, kind)


def test_deletion(runs: Path, capsys: Output) -> None:
    assert main(["rm", "--runs-dir", str(runs), "--where", "finding=L03", "--yes"]) == 0
    assert "2 runs deleted" in capsys.readouterr().out
    assert main(["rm", "--runs-dir", str(runs), "--yes", "r3"]) == 0
    assert [p.name for p in runs.iterdir() if p.is_dir()] == ["r4"]


def test_deletion_asks(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert main(["rm", "--runs-dir", str(runs), "r1"]) == 2
    assert "say --yes" in capsys.readouterr().err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert main(["rm", "--runs-dir", str(runs), "r1"]) == 0
    assert (runs / "r1").is_dir()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rm"], "say which runs"),
        (["rm", "r1", "--where", "lr<1"], "say which runs"),
        (["rm", "--yes", "{elsewhere}"], "only runs in"),
        (["tag", "r1", "two words"], "'two words' is no tag"),
        (["tag", "r9", "x"], "there is no run 'r9'"),
        (["export", "runs.xlsx"], "must end in .csv, .json or .parquet"),
        (["export", "no/where.csv"], "cannot be written"),
        (["runs", "--limit", "many"], "--limit wants a whole number"),
        (["runs", "--where", "lr<"], "--where 'lr<': cannot be understood"),
        (["compare", "r1"], "between 2 and 100 runs"),
    ],
)
def test_what_is_refused(runs: Path, tmp_path: Path, arguments: list[str], sentence: str, capsys: Output) -> None:
    elsewhere = folder_of(tmp_path / "elsewhere", RUNS[0])  # of the same name as one in the folder
    command, *rest = (a.format(elsewhere=elsewhere) for a in arguments)
    assert main([command, "--runs-dir", str(runs), *rest]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert elsewhere.is_dir()
    assert len(list(runs.glob("r*"))) == 4
