"""Runs as TensorBoard's own reader gets them back."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flightcheck.cli.main import main
from flightcheck.diagnosis import diagnose
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LOSS, UPDATE_NORM
from flightcheck.report.tensorboard.export import DENSE_LAYERS, MAY_CHANGE, RunExport, export
from flightcheck.report.tensorboard.texts import literal
from flightcheck.testing import run_of
from tests.cli.made import PROBABILITIES, write_run
from tests.report.paged import HOSTILE, broken, hostile, training

if TYPE_CHECKING:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is not installed (requirements.txt names it)"
)


def read(folder: Path) -> EventAccumulator:
    """Everything in the only run below a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run,) = [p for p in folder.iterdir() if p.is_dir()]
    found = EventAccumulator(str(run), {"scalars": 0, "tensors": 0, "histograms": 0, "compressedHistograms": 0})
    return found.Reload()


def series(found: EventAccumulator, tag: str) -> tuple[list[int], list[float]]:
    events = found.Scalars(tag)
    return [e.step for e in events], [e.value for e in events]


def texts(found: EventAccumulator) -> dict[str, str]:
    return {t: found.Tensors(t)[0].tensor_proto.string_val[0].decode() for t in found.Tags()["tensors"]}


@needs_tensorboard
def test_every_number_of_the_curves_is_read_back(tmp_path: Path) -> None:
    run, diagnosis = broken()
    export(run, diagnosis, tmp_path)
    found = read(tmp_path)
    loss = run.series(LOSS)
    assert series(found, "loss/training") == (loss.steps.tolist(), loss.values.tolist())
    gradient = run.table(GRAD_NORM).column(2)
    assert series(found, "gradient_norm/Net.layer3") == (gradient.steps.tolist(), gradient.values.tolist())
    steps, ratios = series(found, "update_to_weight/Net.layer1")
    assert steps == list(range(60))
    assert ratios == pytest.approx((run.table(UPDATE_NORM).column(0).values / 2.0).tolist(), rel=1e-6)
    assert series(found, "learning_rate/Adam")[1][-1] == pytest.approx(0.01)
    assert series(found, "loss/evaluation") == ([59], [pytest.approx(0.7)])
    assert set(series(found, "dead_units/Net.layer2")[1]) == {0.25}


@needs_tensorboard
def test_the_spread_over_the_layers_is_a_histogram(tmp_path: Path) -> None:
    run, diagnosis = broken()
    export(run, diagnosis, tmp_path)
    first = read(tmp_path).Histograms("layers/gradient_norm_log10")[0]
    rows = np.log10(run.table(GRAD_NORM).values[0])
    value = first.histogram_value
    assert (first.step, value.num) == (0, 4)
    assert (value.min, value.max, value.sum) == pytest.approx((rows.min(), rows.max(), rows.sum()), abs=1e-6)
    assert sum(value.bucket) == 4


@needs_tensorboard
def test_the_graph_has_the_modules_in_the_order_of_their_calls(tmp_path: Path) -> None:
    export(*broken(), tmp_path)
    nodes = {n.name: n for n in read(tmp_path).Graph().node}
    assert list(nodes) == [f"Net/layer{i}" for i in (1, 2, 3, 4)]
    assert (nodes["Net/layer2"].op, list(nodes["Net/layer2"].input)) == ("Linear", ["Net/layer1"])
    assert nodes["Net/layer1"].attr["parameters"].s == b"64"


@needs_tensorboard
def test_the_findings_are_texts_at_the_step_where_they_began(tmp_path: Path) -> None:
    run, diagnosis = broken()
    export(run, diagnosis, tmp_path)
    found = read(tmp_path)
    told = texts(found)
    assert "2 root causes" in told["flightcheck/diagnosis"]
    doubled = told["findings/L03_double-softmax"].replace("\\", "")
    assert "train.py:41: return torch.softmax(x, dim=1)" in doubled
    assert "its floor is 1.461 and not 0." in doubled
    assert "Tried: " in doubled
    assert "findings/T01_seed-not-set" not in told, "a note"
    assert found.Tensors("findings/P33_plateau")[0].step == 30


@needs_tensorboard
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_written_and_breaks_nothing(tmp_path: Path, bad: float) -> None:
    run = training(layers=3, steps=5)
    for name in (LOSS.name, GRAD_NORM.name, UPDATE_NORM.name):
        for row in run.frames[name][1][3:]:
            row[:] = bad
    run.frames[GRAD_NORM.name][1][2][1] = bad
    export(run, diagnose(run, []), tmp_path)
    found = read(tmp_path)
    told = series(found, "loss/training")[1]
    np.testing.assert_array_equal(told[3:], [bad, bad])
    assert np.isfinite(told[:3]).all()
    assert series(found, "layers_not_finite/gradient_norm") == ([2, 3, 4], [1, 3, 3])
    spread = found.Histograms("layers/gradient_norm_log10")
    assert [(h.step, h.histogram_value.num) for h in spread] == [(0, 3), (1, 3), (2, 2)]


@needs_tensorboard
def test_a_layer_whose_gradient_is_exactly_zero(tmp_path: Path) -> None:
    run = training(layers=2, steps=3)
    run.frames[GRAD_NORM.name][1][1][0] = 0.0
    export(run, diagnose(run, []), tmp_path)
    found = read(tmp_path)
    assert series(found, "gradient_norm/Net.layer1")[1][1] == 0.0
    assert found.Histograms("layers/gradient_norm_log10")[1].histogram_value.num == 1, "zero has no logarithm"
    assert "layers_not_finite/gradient_norm" not in found.Tags()["scalars"]


@needs_tensorboard
def test_hostile_names_are_names(tmp_path: Path) -> None:
    from tensorboard import plugin_util

    run, diagnosis = hostile()
    export(run, diagnosis, tmp_path)
    found = read(tmp_path)
    tags = [t for kind in ("scalars", "histograms", "tensors") for t in found.Tags()[kind]]
    assert len([t for t in tags if t.startswith("gradient_norm/")]) == len(HOSTILE), "two names became one"
    assert all(len(t) < 250 and not set(t) & set("<>\"'\x00\x1b\u202e") for t in tags)
    nodes = [n.name for n in found.Graph().node]
    assert len(set(nodes)) == len(HOSTILE)
    assert len(texts(found)) == 1 + len(HOSTILE)
    for text in texts(found).values():
        shown = plugin_util.markdown_to_safe_html(text)
        assert "<script" not in shown
        assert "<img" not in shown


@pytest.mark.parametrize("text", ["*a*", "a_b_c", "<b>&amp;", "`x` | y", "1. [a](b)\n# c", "\\"])
def test_markdown_shows_a_text_letter_by_letter(text: str) -> None:
    plugin_util = pytest.importorskip("tensorboard.plugin_util", reason="TensorBoard is not installed")
    import html
    import re

    shown = html.unescape(re.sub("<[^>]+>", "", plugin_util.markdown_to_safe_html(f"a {literal(text)}")))
    assert shown == f"a {' '.join(text.split())}"


@needs_tensorboard
def test_layers_of_the_same_name_have_a_curve_each(tmp_path: Path) -> None:
    run = training(layers=2, steps=3)
    for i in (1, 2):
        run.records["ModuleInfo"][i] = replace(run.records["ModuleInfo"][i], path="Net.same")
    export(run, diagnose(run, []), tmp_path)
    found = read(tmp_path)
    for layer in (0, 1):
        column = run.table(GRAD_NORM).column(layer).values.tolist()
        assert series(found, f"gradient_norm/Net.same_{layer + 1}")[1] == column


@needs_tensorboard
def test_an_export_again_replaces_the_first(tmp_path: Path) -> None:
    run, diagnosis = broken()
    once = export(run, diagnosis, tmp_path)
    assert export(run, diagnosis, tmp_path) == once
    assert len(list(once.iterdir())) == 1
    assert len(read(tmp_path).Scalars("loss/training")) == 60


@needs_tensorboard
def test_a_run_that_grows_is_the_same_as_one_that_is_over(tmp_path: Path) -> None:
    whole = training(steps=60)
    info: Any = whole.info

    def until(step: int, ended: str) -> Run:
        frames = {
            n: (steps[steps < step], rows[: int((steps < step).sum())]) for n, (steps, rows) in whole.frames.items()
        }
        records = {**whole.records, "RunInfo": [RunInfo(info.id, "", "", info.started, steps=step, ended=ended)]}
        return Run(records, frames)

    growing = RunExport(tmp_path / "live", until(0, "running"))
    growing.add_new(until(30, "running"))
    assert max(series(read(tmp_path / "live"), "loss/training")[0]) == 30 - MAY_CHANGE
    growing.add_new(until(31, "running"))
    growing.finish(whole, diagnose(whole, []))
    export(whole, diagnose(whole, []), tmp_path / "once")
    live, once = read(tmp_path / "live"), read(tmp_path / "once")
    assert {k: sorted(v) if isinstance(v, list) else v for k, v in live.Tags().items()} == {
        k: sorted(v) if isinstance(v, list) else v for k, v in once.Tags().items()
    }
    for tag in once.Tags()["scalars"]:
        assert series(live, tag) == series(once, tag), tag
    for tag in once.Tags()["histograms"]:
        assert [h.step for h in live.Histograms(tag)] == [h.step for h in once.Histograms(tag)], tag


@needs_tensorboard
def test_a_long_run_and_many_layers_stay_small(tmp_path: Path) -> None:
    run = training(layers=110, steps=800)
    folder = export(run, diagnose(run, []), tmp_path)
    found = read(tmp_path)
    assert len([t for t in found.Tags()["scalars"] if t.startswith("gradient_norm/")]) == 100
    steps = series(found, "gradient_norm/Net.layer1")[0]
    assert steps[:DENSE_LAYERS] == list(range(DENSE_LAYERS))
    assert len(steps) < 700
    assert max(np.diff(steps)) <= 2
    assert sum(p.stat().st_size for p in folder.iterdir()) < 20e6


@needs_tensorboard
def test_a_run_without_anything(tmp_path: Path) -> None:
    run = run_of(id="empty")
    export(run, diagnose(run, []), tmp_path)
    assert list(texts(read(tmp_path))) == ["flightcheck/diagnosis"]


@needs_tensorboard
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs" / "20261123-1", PROBABILITIES)
    assert main(["export", "--runs-dir", str(tmp_path / "runs"), "2026", "--tensorboard", str(tmp_path / "tb")]) == 0
    assert capsys.readouterr().out.endswith(f"to see it: tensorboard --logdir {tmp_path / 'tb'}\n")
    assert "findings/L03_double-softmax" in texts(read(tmp_path / "tb"))


def test_without_the_package_one_sentence_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "runs" / "20261123-1")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else find(name, *rest)
    )
    assert main(["export", "--runs-dir", str(tmp_path / "runs"), "--tensorboard", str(tmp_path / "tb")]) == 2
    assert "pip install 'flightcheck[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "tb").exists()


@needs_tensorboard
def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs" / "20261123-1")
    (tmp_path / "tb").write_text("")
    assert main(["export", "--runs-dir", str(tmp_path / "runs"), "--tensorboard", str(tmp_path / "tb")]) == 2
    assert "choose another folder" in capsys.readouterr().err


@needs_tensorboard
def test_it_imports_no_framework() -> None:
    import subprocess

    program = (
        "import sys; from tensorboard.summary.writer.record_writer import RecordWriter\n"
        "import flightcheck.report.tensorboard.export\n"
        "print({'torch', 'tensorflow'} & {m.split('.')[0] for m in sys.modules})"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )
