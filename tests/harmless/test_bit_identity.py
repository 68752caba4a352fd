"""A training computes the same bits with Flightcheck as without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flightcheck.recording.run import Run
from tests.harmless.processes import Server, plain, watched
from tests.thorough import chosen

SCRIPT = str(Path(__file__).parent / "trainings" / "kinds.py")
KINDS = [
    "mlp", "cnn", "lstm", "transformer", "frozen_encoder", "gan", "accumulation", "amp", "grad_scaler", "lbfgs",
    "tied", "sparse", "checkpointing", "manual_sgd", "reinforcement", "workers", "loader_in_process",
    "double_backward", "copies", "functional", "handmade_loss", "graph",
]  # fmt: skip
EVERY_TIME = [
    "mlp", "transformer", "frozen_encoder", "gan", "accumulation", "grad_scaler", "lbfgs", "tied", "checkpointing",
    "manual_sgd", "workers", "double_backward", "copies", "functional", "handmade_loss",
]  # fmt: skip
IN_CHECK = ["transformer", "gan", "loader_in_process", "handmade_loss"]


def recorded(folder: Path) -> Run:
    """The only run in a folder."""
    (run,) = (folder / ".flightcheck" / "runs").iterdir()
    return Run.open(run)


@pytest.mark.parametrize("kind", chosen(KINDS, EVERY_TIME))
def test_a_whole_run(server: Server, tmp_path: Path, kind: str) -> None:
    without = server.run(tmp_path, SCRIPT, kind)
    within = server.run(tmp_path, "-m", "flightcheck", "run", "--quiet", "--select", "T01", SCRIPT, kind)
    assert re.fullmatch(rf"{kind} [0-9a-f]{{64}}\n", without.out), without.err
    assert tuple(within) == tuple(without), within.err
    assert within.err == without.err, "a warning that the training alone would not have brought"
    run = recorded(tmp_path)
    assert run.info.ended == "finished"
    assert run.info.steps >= 12
    assert not [b for b in run.coverage.blind if "of Flightcheck itself" in b]


@pytest.mark.parametrize("kind", IN_CHECK)
def test_a_check_with_more_steps_than_the_training_has(server: Server, tmp_path: Path, kind: str) -> None:
    without = server.run(tmp_path, SCRIPT, kind)
    within = server.run(
        tmp_path,
        "-m",
        "flightcheck",
        "check",
        "--lab-budget",
        "0",
        "--steps",
        "9999",
        "--fail-on",
        "never",
        "--quiet",
        SCRIPT,
        kind,
    )
    assert tuple(within) == tuple(without), within.err


def test_processes_of_their_own(tmp_path: Path) -> None:
    """As a user starts it; several trainings in one process, so that later ones meet the watching phase."""
    kinds = ["mlp", "transformer", "cnn", "gan", "frozen_encoder", "checkpointing", "handmade_loss"]
    without = plain(tmp_path, SCRIPT, *kinds)
    assert without.out.count("\n") == len(kinds), without.err
    within = watched(tmp_path, "run", "--fail-on", "never", SCRIPT, *kinds)
    assert tuple(within) == tuple(without), within.err
    within = watched(tmp_path, "check", "--lab-budget", "0", "--steps", "9999", "--fail-on", "never", SCRIPT, *kinds)
    assert tuple(within) == tuple(without), within.err


def test_the_digest_notices_one_bit(server: Server, tmp_path: Path) -> None:
    script = tmp_path / "other.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(SCRIPT).parent)!r})\n"
        "import torch, kinds\n"
        "for change in (0.0, 2.0 ** -20):\n"
        "    digest = kinds.Digest(); digest.add([{'w': torch.ones(3) + torch.tensor([0, change, 0])}]); print(digest)\n"
    )
    first, second = server.run(tmp_path, str(script)).out.split()
    assert first != second
