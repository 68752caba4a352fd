"""P11 freezing-mistake: the new layer is frozen, or the frozen one moves."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.averages import WeightAverage
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.signals import GRAD_NORM, UPDATE_NORM
from flightcheck.recording.wiring import UnknownFlag
from flightcheck.testing import run_of, verdict_of

HEAD_LINE = Location("train.py", 22)
ROOT = RootInfo(0, "model", "Net", Location("train.py", 20))
MODULES = [ModuleInfo(i, f"model.{i}", "Linear", "linear", 0, Location("train.py", 10 + i), order=i) for i in range(3)]
ADAM = OptimizerInfo(0, "Adam", steps=50)
BODY = [
    ParameterInfo(i, f"model.{i}.weight", i, [8, 8], "matrix", optimizers=[0], in_graph=True, numel=64)
    for i in range(2)
]
HEAD = ParameterInfo(2, "model.2.weight", 2, [3, 8], "matrix", False, location=HEAD_LINE, numel=24)


def test_a_frozen_random_head_warns() -> None:
    (finding,) = verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *BODY, HEAD)).findings
    assert finding.location == HEAD_LINE
    assert finding.severity is None
    assert finding.patch == "unfreeze:model.2"


def test_a_target_that_follows_the_model_passes() -> None:
    follows = WeightAverage(0, Location("train.py", 30), rounds=50, updates=49)
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *BODY, HEAD, follows)).status == "pass"
    still = replace(follows, updates=0)
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *BODY, HEAD, still)).status == "fail"


def test_the_line_is_the_one_that_froze() -> None:
    froze, nearest = Location("train.py", 25), Location("train.py", 26)
    seen = replace(HEAD, frozen_location=froze)
    later = replace(ADAM, freeze_location=nearest, created_at_step=30)
    (finding,) = verdict_of("P11", run_of(ROOT, *MODULES, later, *BODY, seen)).findings
    assert finding.location == froze
    (finding,) = verdict_of("P11", run_of(ROOT, *MODULES, later, *BODY, HEAD)).findings
    assert finding.location == nearest
    assert finding.onset_step == 30, "a trial has to reach the second training"


def test_a_frozen_random_head_on_a_loaded_body_warns() -> None:
    loaded = [replace(p, loaded=True) for p in BODY]
    assert verdict_of("P11", run_of(replace(ROOT, loaded=True), *MODULES, ADAM, *loaded, HEAD)).status == "fail"


def test_a_loaded_head_and_adapters_pass() -> None:
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *BODY, replace(HEAD, loaded=True))).status == "pass"
    assert verdict_of("P11", run_of(replace(ROOT, loaded=True), *MODULES, ADAM, *BODY, HEAD)).status == "pass"
    adapter = ParameterInfo(3, "model.1.lora_B", 1, [8, 2], "matrix", optimizers=[0], zero=True)
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *BODY, HEAD, adapter)).status == "pass"


def test_a_frozen_body_with_a_trained_head_passes() -> None:
    frozen = [replace(p, requires_grad=False, in_graph=False, loaded=True) for p in BODY]
    head = replace(HEAD, requires_grad=True, optimizers=[0])
    assert verdict_of("P11", run_of(replace(ROOT, loaded=True), *MODULES, ADAM, *frozen, head)).status == "pass"


def test_fixed_random_features_are_info() -> None:
    frozen = [replace(p, requires_grad=False, in_graph=False) for p in BODY]
    head = replace(HEAD, requires_grad=True, optimizers=[0])
    findings = verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *frozen, head)).findings
    assert [f.severity for f in findings] == ["info"]


def test_a_body_frozen_at_random_warns_where_training_it_was_seen_to_help() -> None:
    frozen = [replace(p, requires_grad=False, numel=900, frozen_location=Location("train.py", 8)) for p in BODY]
    head = replace(HEAD, requires_grad=True, optimizers=[0], numel=9)
    records = [ROOT, *MODULES, ADAM, *frozen, head]
    assert [f.severity for f in verdict_of("P11", run_of(*records)).findings] == ["info"]
    helped = Experiment("P11", "unfreeze:model", status="confirmed", metric="error", before=0.9, after=0.2, steps=80)
    (finding,) = verdict_of("P11", run_of(*records, helped)).findings
    assert (finding.severity, finding.location, finding.patch) == (None, Location("train.py", 8), "unfreeze:model")


def test_random_layers_that_are_meant_so_stay_info() -> None:
    helped = Experiment("P11", "unfreeze:model", status="confirmed", metric="error", before=0.9, after=0.2, steps=80)
    head = replace(HEAD, requires_grad=True, optimizers=[0], numel=9)
    own = {"frozen_location": Location("train.py", 8, "__init__")}
    for changes in (own, {"name": "model.reservoir.weight"}):
        frozen = [replace(p, requires_grad=False, numel=900, **changes) for p in BODY]
        run = run_of(ROOT, *MODULES, ADAM, *frozen, head, helped)
        assert [f.severity for f in verdict_of("P11", run).findings] == ["info"]


def test_a_frozen_parameter_that_still_moves_warns() -> None:
    left = replace(BODY[0], requires_grad=False, gradients_seen=9, gradients_nonzero=9, updates_nonzero=20)
    series = {GRAD_NORM: [[0.0, 1.0]] * 20, UPDATE_NORM: [[0.01, 0.1]] * 20}
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, left, BODY[1], series=series)).status == "fail"


def test_flags_that_are_toggled_pass() -> None:
    toggled = replace(BODY[0], requires_grad=False, gradients_seen=20, gradients_nonzero=20, updates_nonzero=20)
    series = {GRAD_NORM: [[0.1 + i / 100, 1.0] for i in range(20)], UPDATE_NORM: [[0.01, 0.1]] * 20}
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, toggled, BODY[1], series=series)).status == "pass"


def test_batch_norm_of_a_frozen_part_is_info() -> None:
    norm = ModuleInfo(5, "model.bn", "BatchNorm1d", "batchnorm", 0)
    gain = ParameterInfo(5, "model.bn.weight", 5, [8], "gain", False, loaded=True)
    findings = verdict_of("P11", run_of(replace(ROOT, loaded=True), *MODULES, norm, ADAM, *BODY, gain)).findings
    assert [f.severity for f in findings] == ["info"]


def test_inconclusive_and_skipped() -> None:
    moved = replace(BODY[0], requires_grad=False, updates_nonzero=3)
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, moved, BODY[1])).status == "inconclusive"
    assert verdict_of("P11", run_of(ROOT)).status == "inconclusive"
    assert verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *BODY)).status == "skipped"


TABLE = ParameterInfo(5, "model.words.weight", 9, [200, 16], "embedding", False, numel=3200, duplicate_rows=0.6)
WORDS = ModuleInfo(9, "model.words", "Embedding", "embedding", 0, Location("train.py", 44), order=0)
HELPED = Experiment("P11", "unfreeze:model.words", status="confirmed", metric="error", before=1.3, after=0.4, steps=300)


def test_a_frozen_table_of_equal_rows_is_told_where_training_it_helps() -> None:
    trained = replace(HEAD, requires_grad=True, optimizers=[0], gradients_seen=9, updates_nonzero=9, in_graph=True)
    records = [ROOT, *MODULES, WORDS, ADAM, *BODY, trained]
    (finding,) = verdict_of("P11", run_of(*records, TABLE, HELPED)).findings
    assert finding.location == WORDS.location and "60 %" in finding.message
    for silent in (
        [TABLE],
        [TABLE, replace(HELPED, status="inconclusive")],
        [replace(TABLE, duplicate_rows=0.01), HELPED],
    ):
        assert verdict_of("P11", run_of(*records, *silent)).status == "pass"


def test_a_flag_that_freezes_nothing_warns_where_it_is_set() -> None:
    moving = [replace(p, updates_nonzero=20) for p in BODY]
    flag = UnknownFlag(0, HEAD_LINE, "require_grad", parameters=[0, 1])
    (finding,) = verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *moving, flag)).findings
    assert (finding.location, finding.patch) == (HEAD_LINE, "source:frozen:train.py:22")
    still = verdict_of("P11", run_of(ROOT, *MODULES, ADAM, *BODY, flag))
    assert still.status == "skipped"
