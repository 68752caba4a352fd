"""A script runs under watch as Python itself would run it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from flightcheck.recording.run import Run
from tests.harmless.processes import ENVIRONMENT, WATCH, Done, Server, plain, run

RUN = ["run", "--fail-on", "never"]
TRAINING = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
def train(steps=12):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.randn(16, 4)), torch.randint(0, 2, (16,)))
        loss.backward()
        optimizer.step()
    return loss.item()
"""


def write(folder: Path, text: str, name: str = "train.py") -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    return name


def last_run(folder: Path) -> Run:
    runs = sorted((folder / ".flightcheck" / "runs").iterdir())
    return Run.open(runs[-1])


def without_report(err: str) -> str:
    """What the script itself wrote to stderr; all our reports here are one or a few lines that name us."""
    lines = err.splitlines(keepends=True)
    ours = [i for i, line in enumerate(lines) if "flightcheck" in line.lower() or line.startswith("The script")]
    return "".join(lines[: ours[0]] if ours else lines)


class Both:
    """Runs a script plainly and under watch; stdout and exit code must be equal."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[Done, Done]:
        without = plain(self.folder, *arguments, stdin=stdin)
        return self._equal(without, self.server.run(self.folder, *WATCH[1:], *RUN, *arguments, stdin=stdin))

    def quickly(self, *arguments: str) -> tuple[Done, Done]:
        """The plain one in a fork too: for scripts that import torch, where no traceback matters."""
        without = self.server.run(self.folder, *arguments)
        return self._equal(without, self.server.run(self.folder, *WATCH[1:], *RUN, *arguments))

    def entirely(self, *arguments: str, options: Sequence[str] = ()) -> tuple[Done, Done]:
        """Both as processes of their own."""
        without = run([sys.executable, *options, *arguments], self.folder)
        return self._equal(without, run([sys.executable, *options, "-m", "flightcheck", *RUN, *arguments], self.folder))

    def _equal(self, without: Done, within: Done) -> tuple[Done, Done]:
        assert within.out == without.out, within.err
        assert within.code == without.code, within.err
        return without, within


@pytest.fixture
def same(server: Server, tmp_path: Path) -> Both:
    return Both(server, tmp_path)


SURROUNDINGS = """
    import os, sys, __main__
    print(sys.argv, __name__, __file__, __package__, __spec__, type(__loader__).__name__)
    print(sys.path, os.getcwd(), sys.modules["__main__"] is __main__, __main__.__dict__ is globals())
    print(sorted(k for k in globals() if k not in ("__annotations__", "__builtins__")), type(__builtins__).__name__)
    print(sys.flags, sys.stdin.isatty(), sys.getrecursionlimit())
    import neighbour
    print(neighbour.where)
"""


@pytest.mark.parametrize("how", ["here", "from elsewhere", "through a link", "absolute", "safe path"])
def test_surroundings(same: Both, tmp_path: Path, how: str) -> None:
    write(tmp_path / "code", SURROUNDINGS)
    write(tmp_path / "code", "where = 'beside the script'", "neighbour.py")
    write(tmp_path, "where = 'in the current folder'", "neighbour.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "code" / "train.py")
    folder = tmp_path / "code" if how == "here" else tmp_path
    script = {
        "here": "./train.py", "from elsewhere": "code/train.py", "through a link": "link.py",
        "absolute": str(tmp_path / "code" / "train.py"), "safe path": "code/train.py",
    }[how]  # fmt: skip
    options = ["-P"] if how == "safe path" else []
    without, _ = Both(same.server, folder).entirely(script, "--lr", "3", "-m", "--", "ö", "", options=options)
    assert ("beside the script" in without.out) == (how != "safe path")


@pytest.mark.parametrize("how", ["module", "package", "folder", "zip"])
def test_modules_folders_and_archives(same: Both, tmp_path: Path, how: str) -> None:
    text = """
        import sys, __main__
        print(sys.argv, __name__, __file__, __package__, __spec__.name, sys.path[:2], __main__.__dict__ is globals())
    """
    relative = textwrap.dedent(text) + "from . import sibling\nprint(sibling.__name__)\n"
    write(tmp_path, "print('the package', __name__)", "pkg/__init__.py")
    write(tmp_path, "", "pkg/sibling.py")
    write(tmp_path, relative, "pkg/train.py")
    write(tmp_path, relative, "pkg/__main__.py")
    write(tmp_path, text, "app/__main__.py")
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "app.zip", "__main__.py"], cwd=tmp_path / "app", check=True)
    arguments = {"module": ["-m", "pkg.train"], "package": ["-m", "pkg"], "folder": ["app"], "zip": ["app/app.zip"]}
    same(*arguments[how], "--lr", "3")


# -- the end ----------------------------------------------------------------------------------------------------

ENDS = {
    "code": "import sys; sys.exit(3)",
    "true": "import sys; sys.exit(True)",
    "large": "raise SystemExit(257)",
    "text": "import sys; print('out'); sys.exit('a text')",
    "object": "raise SystemExit(('a', 1))",
    "none": "import sys; sys.exit()",
    "at once": "import os; print('lost?', flush=True); os._exit(7)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
}


@pytest.mark.parametrize("end", ENDS)
def test_exit_codes(same: Both, tmp_path: Path, end: str) -> None:
    without, within = same(write(tmp_path, ENDS[end]))
    assert without_report(within.err) == without.err


RAISED = {
    "plain": "def f(x):\n    return 1 / x\nf(0)\n",
    "chained": """
        def f():
            raise KeyError("inner")
        try:
            f()
        except KeyError as e:
            raise ValueError("outer") from e
    """,
    "through torch": TRAINING + "model(torch.ones(3, 5))\n",
    "after torch": TRAINING + "train()\ntry:\n    model(torch.ones(3, 5))\nexcept RuntimeError:\n    1 / 0\n",
    "in a scheduler": TRAINING + "torch.optim.lr_scheduler.StepLR(optimizer, 'x').step('y')\n",
    "deep": "def f(n):\n    return f(n + 1)\nf(0)\n",
    "group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])\n",
    "without a text": "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E\n",
    "hook": "import sys\nsys.excepthook = lambda *a: print('own hook', a[0])\n1 / 0\n",
    "broken hook": "import sys\nsys.excepthook = lambda *a: 1 / 0\nraise ValueError('first')\n",
    "generator": "def g():\n    yield 1\n    raise ValueError('in a generator')\nlist(g())\n",
    "import": "import neighbour\n",
    "base": "class Stop(BaseException): pass\nraise Stop('here')\n",
}


@pytest.mark.parametrize("kind", RAISED)
def test_tracebacks_are_pythons_own(same: Both, tmp_path: Path, kind: str) -> None:
    write(tmp_path, "1 / 0", "neighbour.py")
    without, within = same(write(tmp_path, RAISED[kind]))
    assert without.code == 1
    if kind == "deep":  # ours lie below, so fewer of the script's fit
        numbers = re.compile(r"repeated \d+ more times")
        assert numbers.sub("", without_report(within.err)) == numbers.sub("", without.err)
    else:
        assert without_report(within.err) == without.err
    assert last_run(tmp_path).info.ended == "exception"


def test_traceback_of_a_module(same: Both, tmp_path: Path) -> None:
    write(tmp_path, "", "pkg/__init__.py")
    write(tmp_path, RAISED["plain"], "pkg/train.py")
    without, within = same("-m", "pkg.train")
    assert without_report(within.err) == without.err


def hears_interrupts() -> None:
    """As in a terminal: what a shell starts in the background inherits deafness to Ctrl-C, and hands it on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupt(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, TRAINING + "train()\nprint('ready', flush=True)\nimport time\nwhile True: train(1)\n")
    process = subprocess.Popen(
        [*WATCH, "run", script],
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hears_interrupts,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "flightcheck" in err
    assert "Traceback" not in err
    assert last_run(tmp_path).info.ended == "interrupted"


def test_a_script_that_handles_the_interrupt_itself(same: Both, tmp_path: Path) -> None:
    text = "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    print('saved')\n"
    same(write(tmp_path, text))


# -- what lives on ------------------------------------------------------------------------------------------------

AFTERWARDS = """
    import atexit, pickle, sys, threading, time
    class Point:
        def __init__(self, x): self.x = x
    def at_end():
        import neighbour
        print("at exit", sys.argv, pickle.loads(pickle.dumps(Point(3))).x, neighbour.where, __name__)
    atexit.register(at_end)
    def late():
        time.sleep(1)
        import other
        print("thread", sys.argv, pickle.loads(pickle.dumps(Point(4))).x, other.where)
    threading.Thread(target=late).start()
    print("main is over")
"""


@pytest.mark.parametrize("arguments", [["train.py", "x"], ["-m", "train", "x"]])
def test_threads_and_exit_handlers_live_on(same: Both, tmp_path: Path, arguments: list[str]) -> None:
    write(tmp_path, AFTERWARDS)
    write(tmp_path, "where = 'late import'", "neighbour.py")
    write(tmp_path, "where = 'late import'", "other.py")
    without, _ = same(*arguments)
    assert "at exit" in without.out
    assert "thread" in without.out


def test_json_on_stdout_is_pure(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, TRAINING + textwrap.dedent(AFTERWARDS) + """
import os, subprocess
train()
print("printed", flush=True)
subprocess.run(["echo", "from a child"])
os.write(1, b"raw\\n")
""")  # fmt: skip
    write(tmp_path, "where = ''", "neighbour.py")
    write(tmp_path, "where = ''", "other.py")
    done = same.server.run(tmp_path, *WATCH[1:], "run", "--json", "-", script)
    assert json.loads(done.out)["run"]["steps"] == 12
    for text in ("printed", "from a child", "raw", "thread"):
        assert text in done.err


def test_streams(same: Both, tmp_path: Path) -> None:
    text = r"""
        import os, sys
        data = sys.stdin.buffer.read()
        sys.stdout.buffer.write(data[::-1] + b"\xff\x00\r\n"); sys.stdout.flush()
        os.write(1, b"raw")
        print("no newline at the end", end="")
    """
    without = subprocess.run(
        [sys.executable, write(tmp_path, text)], cwd=tmp_path, input=b"1\n2\xfe", capture_output=True
    )
    within = subprocess.run(
        [*WATCH, *RUN, "train.py"], cwd=tmp_path, input=b"1\n2\xfe", capture_output=True, env=ENVIRONMENT
    )
    assert (within.returncode, within.stdout) == (without.returncode, without.stdout)
    assert b"\xff\x00" in within.stdout


@pytest.mark.parametrize(
    "text", ["import sys; sys.stderr.close()", "import sys; sys.stdout.close(); sys.stderr = None"]
)
def test_closed_streams(same: Both, tmp_path: Path, text: str) -> None:
    same(write(tmp_path, text))


def test_json_when_the_script_replaces_stdout(same: Both, tmp_path: Path) -> None:
    script = write(
        tmp_path, TRAINING + "import os, sys\nprint(train())\nsys.stdout.close()\nsys.stdout = open(os.devnull, 'w')\n"
    )
    done = same.server.run(tmp_path, *WATCH[1:], "check", "--lab-budget", "0", "--json", "-", script)
    assert json.loads(done.out)["run"]["steps"] == 12


WARNED = """
import warnings
class Loss(nn.Module):
    def forward(self, x, y):
        return nn.functional.mse_loss(x, y)
torch.optim.lr_scheduler.StepLR(optimizer, 3).step()
for _ in range(3):
    nn.functional.mse_loss(torch.ones(3, 1), torch.ones(3))
    nn.MSELoss()(torch.ones(3, 1), torch.ones(3))
    Loss()(torch.ones(3, 1, requires_grad=True), torch.ones(3)).backward()
    torch.ones(2, dtype=torch.complex64).float()
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    nn.functional.l1_loss(torch.ones(3, 1), torch.ones(3))
print([(w.filename, w.lineno) for w in seen])
"""


def test_warnings_name_the_same_lines(same: Both, tmp_path: Path) -> None:
    without, within = same.quickly(str(tmp_path / write(tmp_path, TRAINING + WARNED)))
    assert without.err.count("Warning") >= 5
    assert within.err.startswith(without.err)
    assert within.err.count("Warning") == without.err.count("Warning")


def test_another_folder(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, TRAINING + """
import os, tempfile
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    train()
    with torch.no_grad():
        model.eval(); model(torch.ones(1, 4))
try:
    train(400)
finally:
    print("over")
""")  # fmt: skip
    done = same.server.run(
        tmp_path, *WATCH[1:], "check", "--lab-budget", "0", "--steps", "20", "--json", "report.json", script
    )
    assert (done.code, done.out) == (0, "over\n"), done.err
    assert json.loads((tmp_path / "report.json").read_text())["run"]["steps"] < 100


def test_the_runs_folder_is_removed(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, TRAINING + "import shutil; shutil.rmtree('.flightcheck'); print(train(3))\n")
    done = same.server.run(tmp_path, *WATCH[1:], "run", script)
    assert done.out.count("\n") == 1
    assert "Traceback" not in done.err


# -- stopping -----------------------------------------------------------------------------------------------------


def test_a_script_that_swallows_everything_once(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, TRAINING + """
for _ in range(2):
    try:
        train(1000)
    except BaseException as e:
        print(type(e).__name__)
print("not reached")
""")  # fmt: skip
    done = same.server.run(tmp_path, *WATCH[1:], "check", "--lab-budget", "0", "--steps", "15", script)
    assert (done.code, done.out) == (0, "StopTraining\nStopTraining\nnot reached\n"), done.err
    assert 15 <= last_run(tmp_path).info.steps <= 17


def test_an_except_exception_does_not_see_the_stop(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, TRAINING + "try:\n    train(1000)\nexcept Exception:\n    print('seen')\nprint('after')\n")
    done = same.server.run(tmp_path, *WATCH[1:], "check", "--lab-budget", "0", "--steps", "15", script)
    assert (done.code, done.out) == (0, "")
    assert last_run(tmp_path).info.ended == "stopped"


def test_two_trainings_in_one_process(same: Both, tmp_path: Path) -> None:
    second = "model = nn.Linear(4, 2)\noptimizer = torch.optim.Adam(model.parameters())\nprint(train(15))\n"
    same.quickly(write(tmp_path, TRAINING + "print(train(15))\n" + second))
    found = last_run(tmp_path)
    assert found.info.steps == 30
    assert [o.steps for o in found.optimizers] == [15, 15]


# -- threads and processes ------------------------------------------------------------------------------------------


def test_training_in_a_thread(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, TRAINING + """
import threading
thread = threading.Thread(target=lambda: print(train(30)))
thread.start()
thread.join()
""")  # fmt: skip
    _, within = same.quickly(script)
    assert "other threads" in " ".join(within.err.split())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loader_workers(same: Both, tmp_path: Path, method: str) -> None:
    script = write(tmp_path, TRAINING.replace("torch.manual_seed(0)\n", "") + f"""
import sys
from torch.utils.data import DataLoader, Dataset
class Numbers(Dataset):
    def __len__(self): return 48
    def __getitem__(self, i): return torch.full((4,), float(i)), i % 2
def collate(batch): return torch.utils.data.default_collate(batch)
if __name__ == "__main__":
    torch.manual_seed(0)
    model.load_state_dict({{k: torch.ones_like(v) for k, v in model.state_dict().items()}})
    loader = DataLoader(Numbers(), 4, shuffle=True, num_workers=1, collate_fn=collate, multiprocessing_context={method!r})
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x / 48), y)
        loss.backward()
        optimizer.step()
    print(loss.item(), sys.argv)
""")  # fmt: skip
    same(script, "an argument")
    found = last_run(tmp_path)
    assert found.info.steps == 12
    assert not any("processes" in b for b in found.coverage.blind)


def test_a_script_that_forks(same: Both, tmp_path: Path) -> None:
    """The child ends as itself: no second report, no second writer, and no function mode of ours in it."""
    script = write(tmp_path, TRAINING + """
import os, sys
train(3)
child = os.fork()
if child == 0:
    from torch.overrides import _get_current_function_mode_stack
    print("child", train(20), _get_current_function_mode_stack(), flush=True)
    sys.exit(5)
print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), train(9))
""")  # fmt: skip
    _, within = same.quickly(script)
    assert within.err.count("flightcheck:") == 1
    assert last_run(tmp_path).info.steps == 12
    assert last_run(tmp_path).damage == []


DDP = (
    TRAINING
    + """
import os, sys
os.environ["GLOO_SOCKET_IFNAME"] = "lo"
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
def work(rank, world):
    meeting = os.path.abspath(os.environ.get("MEETING", f"meeting{os.getppid()}"))  # a port could be somebody else's
    dist.init_process_group("gloo", "file://" + meeting, rank=rank, world_size=world)
    torch.manual_seed(rank)
    parallel = DistributedDataParallel(nn.Linear(4, 2))
    optimizer = torch.optim.SGD(parallel.parameters(), 0.1)
    for step in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(parallel(torch.randn(8, 4)), torch.randint(0, 2, (8,)))
        loss.backward()
        optimizer.step()
    with open(f"weights{rank}", "w") as f:
        f.write(repr(parallel.module.weight.tolist()))
    dist.destroy_process_group()
"""
)


def together(folder: Path, command: list[str], ranks: Sequence[int | None]) -> list[Done]:
    """Run a command in several processes that find each other. Gloo itself does not always: then once more.

    Most of the time goes into imports: of torch, and then of its compiler, by the constructor of
    `DistributedDataParallel`. On a busy machine that takes 30 seconds, which is no reason to begin again. Two pairs at
    once, in two workers of the tests, have waited for each other until they were stopped: one pair has its turn.
    """
    with (Path(tempfile.gettempdir()) / "flightcheck-test-ranks.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return _together(folder, command, ranks)


def _together(folder: Path, command: list[str], ranks: Sequence[int | None]) -> list[Done]:
    for attempt in range(3):
        meeting = {"MEETING": f"{attempt}-{time.monotonic_ns()}", "WORLD_SIZE": "2"}
        started = [
            subprocess.Popen(
                command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                env={**ENVIRONMENT, **(meeting if rank is None else {**meeting, "RANK": str(rank)})},
            )
            for rank in ranks
        ]  # fmt: skip
        try:
            ends = [p.communicate(timeout=90) for p in started]
        except subprocess.TimeoutExpired:
            for process in started:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        else:
            return [Done(p.returncode, out, err) for p, (out, err) in zip(started, ends)]
    pytest.skip("the processes of this machine do not find each other")


def test_processes_that_the_script_spawns(tmp_path: Path) -> None:
    script = write(tmp_path, DDP + """
if __name__ == "__main__":
    torch.multiprocessing.spawn(work, args=(2,), nprocs=2)
    print(open("weights0").read() == open("weights1").read(), open("weights0").read())
""")  # fmt: skip
    (without,) = together(tmp_path, [sys.executable, script], [None])
    (within,) = together(tmp_path, [*WATCH, *RUN, script], [None])
    assert without.out.startswith("True"), without.err
    assert tuple(within) == tuple(without), within.err
    assert "2 processes that the script started" in " ".join(within.err.split())


def test_two_ranks_as_a_launcher_starts_them(tmp_path: Path) -> None:
    script = write(tmp_path, DDP + "work(int(os.environ['RANK']), 2)\n")
    weights = []
    for command in (
        [sys.executable],
        [*WATCH, *RUN],
        [*WATCH, "check", "--lab-budget", "0", "--fail-on", "never", "--steps", "15"],
    ):
        ends = together(tmp_path, [*command, script], [0, 1])
        assert [e.code for e in ends] == [0, 0], ends
        if len(command) > 1:
            assert "flightcheck" in ends[0].err
            assert ends[1].err == ""
        weights.append([(tmp_path / f"weights{r}").read_text() for r in range(2)])
    assert weights[0] == weights[1]
    runs = [Run.open(folder) for folder in sorted((tmp_path / ".flightcheck" / "runs").iterdir())]
    # A set: where gloo hung and the pair was started again, one rank of the first pair may have finished.
    assert sorted({(r.info.mode, r.info.rank, r.info.steps) for r in runs if r.info.ended != "running"}) == [
        ("check", 0, 15), ("check", 1, 15), ("run", 0, 40), ("run", 1, 40),
    ]  # fmt: skip


# -- compiled models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models(same: Both, tmp_path: Path, backend: str) -> None:
    script = write(tmp_path, TRAINING + f"""
optimizer = torch.optim.Adam(model.parameters(), 0.01)
loss_fn = torch.compile(lambda x, y: nn.functional.cross_entropy(model(x), y), backend={backend!r})
for step in range(14):
    optimizer.zero_grad()
    loss = loss_fn(torch.randn(16, 4), torch.randint(0, 2, (16,)))
    loss.backward()
    optimizer.step()
    print(loss.item())
whole = torch.compile(model, backend={backend!r})
print(whole(torch.ones(2, 4)).tolist(), torch._dynamo.utils.counters["stats"]["unique_graphs"])
""")  # fmt: skip
    same.quickly(script)
    found = last_run(tmp_path)
    assert found.info.steps == 14
    assert any("compiled" in b for b in found.coverage.blind)


def test_the_comparison_can_fail(same: Both, tmp_path: Path) -> None:
    script = write(tmp_path, "import sys; print('flightcheck.cli.main' in sys.modules)")
    with pytest.raises(AssertionError):
        same(script)


def test_no_time_is_lost_at_the_end(same: Both, tmp_path: Path) -> None:
    script = write(
        tmp_path, "import threading; threading.Thread(target=lambda: __import__('time').sleep(60), daemon=True).start()"
    )
    started = time.monotonic()
    same(script)
    assert time.monotonic() - started < 50
