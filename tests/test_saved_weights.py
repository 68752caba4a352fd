"""The files into which a script saves its weights."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

import flightcheck
from flightcheck.exporters.contents import contents_of
from flightcheck.recording.run import Run


def step(model: torch.nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 2)).pow(2).mean().backward()
        optimizer.step()


def test_files_with_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    original = torch.save
    model = torch.nn.Linear(2, 1)
    with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as watched:
        torch.save(model.state_dict(), "a.pt")
        step(model)
        torch.save({"epoch": 1, "model": model.state_dict()}, Path("b.pt"))
        torch.save(obj=model, f=str(tmp_path / "c.pt"))
        torch.save([1, 2], "no weights.pt")
        torch.save(torch.randn(3), "one tensor.pt")
        torch.save(model.state_dict(), io.BytesIO())
        torch.save(model.state_dict(), "a.pt")
    assert torch.save is original
    run = Run.open(watched.run_folder)
    found = {Path(s.path).name: s for s in run.saved_weights}
    assert {name: (s.step, s.saves) for name, s in found.items()} == {"a.pt": (3, 2), "b.pt": (3, 1), "c.pt": (3, 1)}
    assert found["b.pt"].location is not None
    assert "Path(" in found["b.pt"].location.code
    with contents_of(watched.run_folder, models=False) as contents:
        assert list(contents.models) == []
    (tmp_path / "b.pt").unlink()
    with contents_of(watched.run_folder, models=True) as contents:
        assert [m.name for m in contents.models] == ["c.pt", "a.pt"]  # the last one last


def test_what_save_raises_is_passed_on(tmp_path: Path) -> None:
    with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as watched:
        with pytest.raises(RuntimeError):
            torch.save({"w": torch.ones(1)}, str(tmp_path / "no" / "where.pt"))
        step(torch.nn.Linear(2, 1))
    assert Run.open(watched.run_folder).saved_weights == []
