"""Copies of the code of a run, its packages, and the values that were in effect."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flightcheck.recording.records import Seeding
from flightcheck.recording.run import Run
from flightcheck.recording.surroundings import Numerics, Packages, SourceFile
from flightcheck.tracking.code import packages, source_files, user_modules

SCRIPT = """
import torch, layers
API_KEY = "correct-horse-battery"
torch.manual_seed(11)
model = layers.make()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(12):
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(torch.ones(4, 3)).square().mean()
    loss.backward()
    optimizer.step()
"""
MODULE = "import torch\n\n\ndef make():\n    return torch.nn.Linear(3, 1)\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("script")
    (folder / "train.py").write_text(textwrap.dedent(SCRIPT))
    (folder / "layers.py").write_text(MODULE)
    command = [sys.executable, "-m", "flightcheck", "run", "--quiet", "--runs-dir", "runs", "train.py"]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    (path,) = (folder / "runs").iterdir()
    return Run.open(path)


def test_the_script_and_its_modules_are_kept(run: Run) -> None:
    files = {f.path: f for f in run.recorded(SourceFile)}
    assert set(files) == {"train.py", "layers.py"}
    assert (files["train.py"].main, files["layers.py"].main) == (True, False)
    assert files["layers.py"].text == MODULE
    assert not files["train.py"].late


def test_secrets_in_the_code_are_not(run: Run) -> None:
    (script,) = (f for f in run.recorded(SourceFile) if f.main)
    assert 'API_KEY = "***"' in script.text
    assert run.path is not None
    assert b"correct-horse" not in (run.path / "run.sqlite").read_bytes()


def test_packages_with_their_versions_and_which_were_used(run: Run) -> None:
    (found,) = run.recorded(Packages)
    assert found.installed["torch"].startswith("2.")
    assert {"torch", "numpy"} <= set(found.imported)
    assert "pytest" in found.installed
    assert "pytest" not in found.imported


def test_seeds_and_precision(run: Run) -> None:
    assert isinstance(run.seeding, Seeding)
    assert run.seeding.values == {"torch": 11}
    (found,) = run.recorded(Numerics)
    assert (found.device, found.autocast, found.threads) == ("cpu", "bfloat16", 1)


def test_a_file_that_was_changed_later_says_so_and_a_large_one_has_no_text(tmp_path: Path) -> None:
    script, large = tmp_path / "a.py", tmp_path / "b.py"
    script.write_text("x = 1\n")
    large.write_text("#" * 300_000)
    first, second = source_files(str(script), [str(script), str(large), str(tmp_path / "gone.py")], began=1.0)
    assert (first.path, first.late, first.text) == ("a.py", True, "x = 1\n")
    assert (second.text, len(second.digest)) == ("", 64)


def test_python_and_installed_packages_are_no_code_of_the_users() -> None:
    files = user_modules(("/",))
    assert __file__ in files
    assert not [f for f in files if "site-packages" in f or f == os.__file__ or "/flightcheck/tracking/" in f]


def test_packages_take_no_time() -> None:
    assert packages().installed["numpy"]
