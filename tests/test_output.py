"""What a script prints is kept, bounded and without secrets; nothing of it changes for the script."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from flightcheck.adapters.torch.logged import Logged
from flightcheck.adapters.torch.output import LONGEST_LINE, Output
from flightcheck.adapters.torch.patches import Patches
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.adapters.torch.watch import Watch
from flightcheck.cli.main import main
from flightcheck.recording.output import Line, ends_of
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.store import RunWriter
from flightcheck.redaction import redacted_output


@pytest.fixture
def output(tmp_path: Path) -> Output:
    writer = RunWriter(tmp_path / "r1")
    writer.put(RunInfo("r1", "train.py", "train.py"))
    return Output(Watch(writer, SourceLines()))


def kept(output: Output) -> list[Line]:
    output.save(final=True)
    output.watch.writer.close()
    return Run.open(output.watch.writer.path).output


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_lines_of_both_streams_in_their_order(output: Output) -> None:
    for stream, text in (
        ("stdout", "one"),
        ("stderr", "warning\n"),
        ("stdout", " and a half\n\ntwo\n"),
        ("stderr", "end"),
    ):
        output.written(stream, text)
    lines = [("warning", True), ("one and a half", False), ("", False), ("two", False), ("end", True)]
    assert [(line.text, line.error) for line in kept(output)] == lines


@pytest.mark.parametrize(
    ("texts_written", "line"),
    [
        (["\r  0%|   |", "\r 50%|#  |", "\r100%|###|", "\n"], "100%|###|"),
        (["10%\r", "20%\r", "done\n"], "done"),
        (["\r 50%", "\r      \r", "epoch 1\n"], "epoch 1"),
        (["a\r\n"], "a"),
        (["a\rb\r\r\n"], "b"),
        (["\r 50%"], " 50%"),
        (["50%\r"], "50%"),
    ],
)
def test_of_a_progress_bar_what_stood_there_last(output: Output, texts_written: list[str], line: str) -> None:
    for text in texts_written:
        output.written("stderr", text)
    assert texts(kept(output)) == [line]


def test_of_very_much_the_beginning_and_the_end_are_kept(output: Output) -> None:
    for i in range(30_000):
        output.written("stdout", f"step {i} of many\n")
        if i == 20_000:
            output.save()
    lines = kept(output)
    (gap,) = [i for i, line in enumerate(lines) if line.left_out]
    assert texts(lines[:gap]) == [f"step {i} of many" for i in range(gap)]
    rest = len(lines) - gap - 1
    assert texts(lines[gap + 1 :]) == [f"step {i} of many" for i in range(30_000 - rest, 30_000)]
    assert lines[gap].left_out == 30_000 - gap - rest
    assert gap > 2000
    assert rest > 6000
    assert output.watch.writer.path.stat().st_size < 500_000


def test_one_text_of_very_many_lines_takes_no_time_line_by_line(output: Output) -> None:
    output.written("stdout", "first\n" + "x\n" * 500_000 + "last\n")
    start = time.process_time()
    output.written("stdout", "y\n" * 500_000)
    assert time.process_time() - start < 0.5
    lines = kept(output)
    assert lines[0].text == "first"
    assert lines[-1].text == "y"
    assert sum(line.left_out or 1 for line in lines) == 1_000_002


def test_a_long_line_is_cut_in_its_middle(output: Output) -> None:
    output.written("stdout", "a" * 10_000)
    for _ in range(3000):
        output.written("stdout", ".")
    (line,) = kept(output)
    assert line.text.startswith("aaa")
    assert line.text.endswith("...")
    assert len(line.text) <= LONGEST_LINE + 3


def test_secrets_are_left_out_also_where_they_are_written_in_pieces(output: Output) -> None:
    token = "hf_" + "a1B2" * 6
    for text in ("using ", token[:9], token[9:], " now\nWANDB_API_KEY=abcd1234efgh\nloss: 0.5, tokens: 4096\n"):
        output.written("stdout", text)
    assert texts(kept(output)) == ["using *** now", "WANDB_API_KEY=***", "loss: 0.5, tokens: 4096"]
    assert token.encode() not in output.watch.writer.path.read_bytes()


def test_what_is_no_secret_stays() -> None:
    for text in ("token accuracy: 0.93", "pad_token: <pad>", "password_loss=0.5", "keys: 12", "max_tokens=4096"):
        assert redacted_output(text) == text


def test_what_is_written_after_a_kill_is_there(output: Output) -> None:
    output.written("stdout", "epoch 1\nepoch 2")
    output.save()
    output.watch.writer.flush(force=True)
    assert texts(Run.open(output.watch.writer.path).output) == ["epoch 1"]


def test_threads_and_a_forked_child(output: Output) -> None:
    thread = threading.Thread(target=output.written, args=("stdout", "from a thread\n"))
    thread.start()
    thread.join()
    output.watch.on = False  # as in a child
    output.written("stdout", "from a child\n")
    assert texts(kept(output)) == ["from a thread"]


def test_the_stream_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same object with the same bytes in the same order; a text that is none is refused as before."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", line_buffering=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    watch, patches = Watch(RunWriter(tmp_path), SourceLines()), Patches()
    logged = Logged(watch)
    logged.install(patches)
    try:
        print("één", end="\r")
        print("loss 1.0", file=sys.stderr)
        sys.stdout.writelines(["a", "b\n"])
        with pytest.raises(TypeError, match=r"write\(\) argument must be str"):
            sys.stdout.write(b"bytes")  # type: ignore[arg-type]
        os.write(os.open(os.devnull, os.O_WRONLY), b"not ours")
        assert sys.stdout is stream
        assert stream.isatty() is False
    finally:
        logged.close()
        patches.close()
    assert "write" not in vars(stream)
    assert raw.getvalue().decode() == "één\rloss 1.0\nab\n"
    logged.save(final=True)
    watch.writer.close()
    assert texts(Run.open(tmp_path).output) == ["loss 1.0", "ab"]
    assert watch.errors == []


def test_a_fault_of_ours_reaches_nobody(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_add_all", lambda lines, stream: 1 / 0)
    output.written("stdout", "text\n")
    assert output.watch.errors == ["output: ZeroDivisionError: division by zero"]


def test_it_takes_little_time(output: Output) -> None:
    start = time.process_time()
    for i in range(20_000):
        output.written("stdout", f"step {i} loss: {i / 7:.3f} val_acc: 0.5")
        output.written("stdout", "\n")
        if not i % 100:
            output.save()
    assert time.process_time() - start < 0.5  # 5 µs a line, 25 where the machine is slow
    assert output._spent < 0.1


def test_shown_with_its_gap_and_without_what_a_terminal_obeys(
    output: Output, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "--output", "--runs-dir", str(tmp_path), "r1"]) == 0
    assert capsys.readouterr().out == "Nothing that the script printed is recorded.\n"
    output.written("stdout", "first\x1b]0;title\x07\tcolumn\n" + "x\n" * 50_000 + "last\n")
    kept(output)
    assert main(["show", "--output", "--runs-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "first\ufffd]0;title\ufffd\tcolumn"
    assert shown[-1] == "last"
    assert len([line for line in shown if line.startswith("… ") and line.endswith(" lines are not kept …")]) == 1


def test_the_ends_of_many_lines() -> None:
    lines = [*(Line(str(i)) for i in range(10)), Line("", left_out=5), *(Line(str(i)) for i in range(15, 20))]
    assert ends_of(lines, 20, 20) == lines
    assert texts(ends_of(lines, 2, 3)) == ["0", "1", "", "17", "18", "19"]
    assert ends_of(lines, 2, 3)[2].left_out == 15
