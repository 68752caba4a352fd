"""P26 checkpoint-not-loaded: names behind a prefix, names that fit nowhere, heads that are new on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location
from flightcheck.recording.states import LostWeights, StateLoad
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
    (load,) = watched.run.recorded(StateLoad)
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


LOST = LostWeights(0, "overwritten", LINE, "Net", 6, 6, 1.0, 0, Location("train.py", 30))


def test_loaded_weights_drawn_anew_fail() -> None:
    (finding,) = verdict_of("P26", run_of(LOADED, LOST, steps=9)).findings
    assert finding.location == Location("train.py", 30)
    assert "line 20" in finding.message


def test_a_new_head_or_new_last_blocks_pass() -> None:
    for purpose in (
        replace(LOST, lost=1, share=0.6, first=5), replace(LOST, lost=3, share=0.6, first=3),
        replace(LOST, lost=2, share=0.2),
    ):  # fmt: skip
        assert verdict_of("P26", run_of(LOADED, purpose, steps=9)).status == "pass"


def test_a_model_left_behind_and_a_state_that_is_not_loaded_fail() -> None:
    (finding,) = verdict_of("P26", run_of(replace(LOST, kind="left-behind"), steps=9)).findings
    assert finding.location == LINE
    (finding,) = verdict_of("P26", run_of(replace(LOST, kind="not-loaded"), steps=9)).findings
    assert finding.location == Location("train.py", 30)


def test_other_names_in_the_same_order_fail() -> None:
    other = replace(LOADED, matched=1, given=12, unfilled=5, renamed=5)
    assert verdict_of("P26", run_of(other, steps=9)).status == "fail"
    assert verdict_of("P26", run_of(replace(other, matched=6), steps=9)).status == "pass"
    assert verdict_of("P26", run_of(replace(other, renamed=0), steps=9)).status == "pass"


def draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)


class Classifier(nn.Module):
    def __init__(self, body: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body or Body()
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 16), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x).relu()).relu()


def build(state: dict[str, torch.Tensor]) -> nn.Module:
    body = Body()
    body.load_state_dict(state)
    return Classifier()


def lost_of(tmp_path: Path, script: Callable[[], object], pretrained: bool = False) -> list[LostWeights]:
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        if pretrained:
            for _ in range(4):
                train(network())
        script()
    assert watched.run is not None
    assert watched.run.coverage.blind == []
    return watched.run.recorded(LostWeights)


@pytest.mark.parametrize("pretrained", [False, True])
def test_an_initialization_after_the_load_is_seen(tmp_path: Path, pretrained: bool) -> None:
    state = network().state_dict()

    def script() -> None:
        model = network()
        model.load_state_dict(state)
        model.apply(draw)
        train(model)

    (lost,) = lost_of(tmp_path, script, pretrained)
    assert (lost.kind, lost.lost, lost.matrices, lost.first, lost.share) == ("overwritten", 3, 3, 0, 1.0)
    assert lost.lost_location is not None and lost.lost_location.code == "model.apply(draw)"


def test_old_idioms_of_initialization_are_seen(tmp_path: Path) -> None:
    state = network().state_dict()

    def script() -> None:
        model = network()
        model.load_state_dict(state)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.data.normal_(0.0, 0.02)
        train(model)

    assert [x.lost for x in lost_of(tmp_path, script)] == [3]


def test_what_is_used_before_or_loaded_again_is_not_lost(tmp_path: Path) -> None:
    state = network().state_dict()

    def evaluated() -> None:
        model = network()
        model.load_state_dict(state)
        with torch.no_grad():
            model.eval()(torch.randn(4, 8))
        model.train().apply(draw)
        train(model)

    def twice() -> None:
        model = network()
        model.load_state_dict(state)
        model.apply(draw)
        model.load_state_dict(state)
        train(model)

    def first() -> None:
        model = network()
        model.apply(draw)
        model.load_state_dict(state)
        train(model)

    for script in (evaluated, twice, first):
        assert lost_of(tmp_path, script) == []


def test_a_model_left_behind_is_seen(tmp_path: Path) -> None:
    state = Body().state_dict()
    (lost,) = lost_of(tmp_path, lambda: train(build(state)))
    assert (lost.kind, lost.type) == ("left-behind", "Body")
    assert lost.location is not None and "body.load_state_dict" in lost.location.code

    def by_name() -> None:
        body = Body()
        body.load_state_dict(state)
        model = Classifier()
        train(model)

    assert [x.kind for x in lost_of(tmp_path, by_name)] == ["left-behind"]


def test_a_loaded_model_that_is_used_is_not_left_behind(tmp_path: Path) -> None:
    state = Body().state_dict()

    def around() -> None:
        body = Body()
        body.load_state_dict(state)
        train(Classifier(body))

    def teacher() -> None:
        body = Body()
        body.load_state_dict(state)
        train(Classifier())
        body(torch.randn(2, 8))

    def copied() -> None:
        body = Body()
        body.load_state_dict(state)
        model = Classifier()
        model.body.load_state_dict(body.state_dict())
        train(model)

    for script in (around, teacher, copied):
        assert lost_of(tmp_path, script) == []


def test_a_changed_state_that_nothing_loads_is_seen(tmp_path: Path) -> None:
    state = network().state_dict()

    def updated() -> None:
        model = network()
        own = model.state_dict()
        own.update({k: v for k, v in state.items() if k in own})
        train(model)

    def at_once() -> None:
        model = network()
        model.state_dict().update(state)
        train(model)

    def by_name() -> None:
        model = network()
        for name, value in state.items():
            model.state_dict()[name] = value
        train(model)

    for script in (updated, at_once, by_name):
        (lost,) = lost_of(tmp_path, script)
        assert (lost.kind, lost.lost) == ("not-loaded", 3)


def test_a_changed_state_that_is_loaded_or_copied_passes(tmp_path: Path) -> None:
    state = network().state_dict()

    def loaded() -> None:
        model = network()
        own = model.state_dict()
        own.update(state)
        model.load_state_dict(own)
        train(model)

    def copied() -> None:
        model = network()
        for name, value in state.items():
            model.state_dict()[name].copy_(value)
        train(model)

    def handed_on() -> None:
        model = network()
        own = model.state_dict()
        own.update(state)
        torch.save(own, tmp_path / "own.pt")
        train(model)

    for script in (loaded, copied, handed_on):
        assert lost_of(tmp_path, script) == []


def test_other_names_are_recognized_by_their_shapes(tmp_path: Path) -> None:
    state = {k.replace("0.", "first.").replace("2.", "hidden.").replace("4.", "last."): v
             for k, v in network().state_dict().items()}  # fmt: skip

    def script() -> None:
        model = network()
        model.load_state_dict(state, strict=False)
        train(model)

    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        script()
    assert watched.run is not None
    assert [s.renamed for s in watched.run.recorded(StateLoad)] == [3]


def test_a_whole_checkpoint_in_the_place_of_its_weights_fails() -> None:
    load = StateLoad(0, Location("train.py", 7), "Net", strict=False, given=0, matrices=3, unfilled=2, nested="model")
    (finding,) = verdict_of("P26", run_of(load, steps=50)).findings
    assert "checkpoint['model']" in finding.fix
    assert verdict_of("P26", run_of(replace(load, unfilled=0), steps=50)).status == "pass"
