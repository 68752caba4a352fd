"""Patches of states that a script loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.recording.states import StateLoad
from flightcheck.testing import run_of
from tests.lab.made import CLASSES, FEATURES, Loop, patched


class Net(nn.Module):
    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def teacher() -> Net:
    torch.manual_seed(7)
    return Net()


def loaded(tmp_path: Path, state: dict[str, Any], patch: str = "load:match", model: nn.Module | None = None) -> Any:
    """A model after a script has loaded a state into it, and the trial."""
    model = model or Net()
    done = patched(tmp_path, patch, lambda: [model.load_state_dict(state, strict=False), Loop(model)()])
    return model, done


@pytest.mark.parametrize(("ours", "theirs"), [("", "module."), ("", "model.net."), ("0.", ""), ("0.", "backbone.")])
def test_names_are_matched_behind_their_prefixes(tmp_path: Path, ours: str, theirs: str) -> None:
    state = {theirs + k: v.clone() for k, v in teacher().state_dict().items()}
    model = nn.Sequential(Net()) if ours else Net()
    seen: dict[str, torch.Tensor] = {}

    def loop() -> None:
        model.load_state_dict(state, strict=False)
        seen.update({k: v.clone() for k, v in model.state_dict().items()})
        Loop(model)()

    done = patched(tmp_path, "load:match", loop)
    assert all(torch.equal(seen[ours + k], v) for k, v in teacher().state_dict().items())
    assert done.trained.failure == ""
    assert not any(s.misnamed for s in done.run.recorded(StateLoad)), (
        "what is recorded is the load with the right names"
    )


def test_a_head_of_another_shape_stays_new(tmp_path: Path) -> None:
    state = {f"module.{k}": v.clone() for k, v in teacher().state_dict().items()}
    model = Net(5)
    weight = model.head.weight.detach().clone()
    x = torch.zeros(4, FEATURES)
    seen: list[bool] = []

    def run() -> None:
        model.load_state_dict(state, strict=False)
        seen.append(
            torch.equal(model.head.weight, weight) and torch.equal(model.body[0].weight, state["module.body.0.weight"])
        )
        Loop(model, lambda out, y: out.square().mean(), pairs=[(x, x)])()

    patched(tmp_path, "load:match", run)
    assert seen == [True]


def test_names_that_the_script_filtered_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "teacher.pt"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in teacher().state_dict().items()}}, path)
    model, equal = Net(), []

    def run() -> None:
        own = model.state_dict()
        model.load_state_dict({**own, **{k: v for k, v in torch.load(path)["state_dict"].items() if k in own}})
        equal.append(torch.equal(model.head.weight, teacher().head.weight))
        model.load_state_dict({k: v for k, v in torch.load(path)["state_dict"].items() if k in own}, strict=False)
        equal.append(torch.equal(model.head.weight, teacher().head.weight))
        Loop(model)()

    patched(tmp_path / "runs", "load:match", run)
    assert equal == [True, True], "a name whose value is the one that the model had was not loaded"


def test_a_state_that_fits_is_left_alone(tmp_path: Path) -> None:
    _, done = loaded(tmp_path, teacher().state_dict())
    assert "no place at which it could act" in done.trained.failure


@pytest.mark.parametrize(
    ("theirs", "ours", "diff"),
    [
        ("module.", "", '+ state = {k.removeprefix("module."): v for k, v in state.items()}  # before it is loaded'),
        ("", "model.", '+ state = {"model." + k: v for k, v in state.items()}  # before it is loaded'),
        ("", "", ""),
    ],
)
def test_as_a_line(theirs: str, ours: str, diff: str) -> None:
    finding = Finding("", evidence={"source_prefix": theirs, "module_prefix": ours})
    assert diff_of([Patch.parse("load:match")], finding, run_of()) == diff


def draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)


@pytest.mark.parametrize("how", ["drawn anew", "built anew", "dictionary", "dictionary by name"])
def test_what_was_loaded_is_there_at_the_first_call(tmp_path: Path, how: str) -> None:
    state = {k: v.clone() for k, v in teacher().state_dict().items()}
    seen: list[bool] = []

    class Seen(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.equal(self.head.weight, state["head.weight"]))
            return super().forward(x)

    def script() -> None:
        model = Seen()
        if how == "drawn anew":
            model.load_state_dict(state)
            model.apply(draw)
        elif how == "built anew":
            model.load_state_dict(state)
            model = Seen()
        elif how == "dictionary":
            model.state_dict().update(state)
        else:
            for name, value in state.items():
                model.state_dict()[name] = value
        Loop(model)()

    done = patched(tmp_path, "load:late", script)
    assert done.trained.failure == "" and done.errors == []
    assert seen[0] and not seen[1], "it starts there, and is trained from there"
    assert done.applied["load:late"] == 1


def test_a_state_that_stands_where_it_belongs_is_left_alone(tmp_path: Path) -> None:
    _, done = loaded(tmp_path, teacher().state_dict(), "load:late")
    assert not done.applied.get("load:late")


def test_the_diff_of_a_late_load() -> None:
    line = Location("train.py", 9, code="model.apply(init_weights)")
    finding = Finding("", line, evidence={"kind": "overwritten"})
    told = diff_of([Patch("load", "late")], finding, run_of())
    assert told == "- model.apply(init_weights)\n+ # the same before the weights are loaded"
    finding = Finding("", Location("train.py", 9, code="own.update(kept)"), evidence={"kind": "not-loaded"})
    assert diff_of([Patch("load", "late")], finding, run_of()) == "+ model.load_state_dict(own)"
    finding = Finding("", Location("t.py", 9, code="net.state_dict().update(k)"), evidence={"kind": "not-loaded"})
    assert diff_of([Patch("load", "late")], finding, run_of()) == "+ net.load_state_dict(state)"


def test_a_model_in_training_gives_its_weights_in_the_place_of_taking_them(tmp_path: Path) -> None:
    online, target = Net(), teacher()
    first = {k: v.clone() for k, v in target.state_dict().items()}

    def script() -> None:
        with torch.no_grad():
            target(torch.zeros(2, FEATURES))
        Loop(online)()
        online.load_state_dict(target.state_dict())

    done = patched(tmp_path, "load:turned", script)
    assert done.applied["load:turned"] == 1
    assert not torch.equal(target.head.weight, first["head.weight"])
    assert torch.equal(target.head.weight, online.head.weight)
    line = Location("train.py", 3, code="online.load_state_dict(target.state_dict())")
    told = diff_of([Patch.parse("load:turned")], Finding("", location=line), run_of())
    assert told.endswith("+ target.load_state_dict(online.state_dict())")


def test_a_model_that_is_given_a_checkpoint_takes_it(tmp_path: Path) -> None:
    online = Net()
    state = teacher().state_dict()
    done = patched(tmp_path, "load:turned", lambda: [Loop(online)(), online.load_state_dict(state)])
    assert not done.applied.get("load:turned")
    assert torch.equal(online.head.weight, state["head.weight"])
