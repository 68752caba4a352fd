"""P26 checkpoint-not-loaded: names behind a prefix, names that fit nowhere, heads that are new on purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location
from flightcheck.recording.states import StateLoad
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 20)
LOADED = StateLoad(0, LINE, "Net", strict=False, given=10, matched=10, matrices=5)
PREFIXED = replace(
    LOADED, matched=0, unfilled=5, misnamed=5, misnamed_share=1.0, source_prefix="module.", example="module.body.weight"
)


def test_names_behind_a_prefix_fail() -> None:
    (finding,) = verdict_of("P26", run_of(PREFIXED, steps=9)).findings
    assert finding.location == LINE
    assert 'removeprefix("module.")' in finding.fix
    assert "'module.body.weight' instead of 'body.weight'" in finding.message


def test_a_state_that_fits_nowhere_fails() -> None:
    nothing = replace(LOADED, matched=0, unfilled=5)
    assert verdict_of("P26", run_of(nothing, steps=9)).status == "fail"
    assert verdict_of("P26", run_of(replace(nothing, whole=False), steps=9)).status == "pass"
    assert verdict_of("P26", run_of(replace(nothing, unfilled=0), steps=9)).status == "pass"
    assert verdict_of("P26", run_of(nothing, replace(LOADED, index=1), steps=9)).status == "pass"


def test_a_full_load_and_a_new_head_pass() -> None:
    assert verdict_of("P26", run_of(LOADED, steps=9)).status == "pass"
    assert verdict_of("P26", run_of(replace(LOADED, matched=8, unfilled=1), steps=9)).status == "pass"
    assert verdict_of("P26", run_of(replace(PREFIXED, misnamed_share=0.001, matched=8), steps=9)).status == "pass"


def test_without_a_load_or_a_step() -> None:
    assert verdict_of("P26", run_of(steps=9)).status == "skipped"
    assert verdict_of("P26", run_of(PREFIXED, steps=0)).status == "inconclusive"


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))


def train(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.randn(8, 8)), torch.randint(0, 3, (8,))).backward()
        optimizer.step()


def recorded(tmp_path: Path, *, filtered: bool = False, repaired: bool = False, by_hand: bool = False,
             pretrained: bool = False) -> StateLoad:  # fmt: skip
    """The load of a state whose names begin with ``module.`` into a fresh model that is gone at the end."""
    torch.save({"state": {f"module.{k}": v for k, v in network().state_dict().items()}}, tmp_path / "weights.pt")
    model = network()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        if pretrained:
            train(network())
        state = torch.load(tmp_path / "weights.pt")["state"]
        if repaired:
            state = {k.removeprefix("module."): v for k, v in state.items()}
        if filtered:
            own = model.state_dict()
            own.update({k: v for k, v in state.items() if k in own})
            model.load_state_dict(own)
        else:
            model.load_state_dict(state, strict=False)
        if by_hand:
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.copy_(state[f"module.{name}"])
        train(model)
        del model
    assert watched.run is not None
    (load,) = watched.run.state_loads
    return load


def test_a_prefix_is_recognized(tmp_path: Path) -> None:
    load = recorded(tmp_path)
    assert (load.source_prefix, load.module_prefix, load.misnamed, load.misnamed_share) == ("module.", "", 3, 1.0)
    assert load.location is not None and "load_state_dict" in load.location.code


def test_a_load_after_another_training_is_judged_when_its_own_begins(tmp_path: Path) -> None:
    assert recorded(tmp_path, pretrained=True).misnamed == 3
    assert recorded(tmp_path, pretrained=True, repaired=True).unfilled == 0


def test_names_that_were_filtered_out_are_found_in_the_file(tmp_path: Path) -> None:
    load = recorded(tmp_path, filtered=True)
    assert load.misnamed == 3
    assert load.from_file is not None and "torch.load" in load.from_file.code


def test_what_fits_or_is_copied_by_hand_is_filled(tmp_path: Path) -> None:
    assert recorded(tmp_path, repaired=True).unfilled == 0
    assert recorded(tmp_path, repaired=True, filtered=True).misnamed == 0
    assert recorded(tmp_path, by_hand=True).misnamed == 0
