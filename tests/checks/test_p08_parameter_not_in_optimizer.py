"""P08 parameter-not-in-optimizer: reached by the loss, wants a gradient, held by nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.base import Finding
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.signals import WEIGHT_NORM
from flightcheck.recording.thawed import Thawed
from flightcheck.testing import run_of, verdict_of

OPTIMIZER_LINE, HEAD_LINE = (
    Location("train.py", 30, "", "opt = Adam(model.encoder.parameters())"),
    Location("train.py", 12),
)
ROOT = RootInfo(0, "model", "Net", Location("train.py", 20))
ENCODER = ModuleInfo(1, "model.encoder", "Linear", "linear", 0, Location("train.py", 11))
HEAD = ModuleInfo(2, "model.head", "Linear", "linear", 0, HEAD_LINE)
ADAM = OptimizerInfo(0, "Adam", OPTIMIZER_LINE, parameters=[0], steps=50)
HELD = ParameterInfo(0, "model.encoder.weight", 1, [8, 8], "matrix", optimizers=[0], in_graph=True, numel=64)
FREE = ParameterInfo(1, "model.head.weight", 2, [3, 8], "matrix", in_graph=True, location=HEAD_LINE, numel=24)
BASE = (ROOT, ENCODER, HEAD, ADAM, HELD)


def test_a_forgotten_head_fails_at_the_optimizer() -> None:
    (finding,) = verdict_of("P08", run_of(*BASE, FREE)).findings
    assert finding.location == OPTIMIZER_LINE
    assert finding.module == "model.head"
    assert finding.parameters == (1,)
    assert finding.severity is None


def test_a_head_added_after_the_optimizer_fails_at_the_head() -> None:
    whole = replace(ADAM, location=Location("train.py", 30, "", "opt = Adam(model.parameters(), lr=1e-3)"))
    (finding,) = verdict_of("P08", run_of(ROOT, ENCODER, HEAD, whole, HELD, FREE)).findings
    assert finding.location == HEAD_LINE


def test_an_optimizer_of_a_slice_fails_at_the_slice() -> None:
    part = Location("train.py", 30, "", "opt = Adam(list(model.parameters())[:1], lr=1e-3)")
    (finding,) = verdict_of("P08", run_of(ROOT, ENCODER, HEAD, replace(ADAM, location=part), HELD, FREE)).findings
    assert finding.location == part
    assert finding.fix.startswith("Pass the parameters")


def test_many_parameters_make_one_finding() -> None:
    more = [replace(FREE, index=i, name=f"model.head.{i}") for i in range(1, 9)]
    (finding,) = verdict_of("P08", run_of(*BASE, *more)).findings
    assert "8 parameters" in finding.message


def test_all_held_passes() -> None:
    assert verdict_of("P08", run_of(*BASE, replace(FREE, optimizers=[0]))).status == "pass"
    assert verdict_of("P08", run_of(*BASE, replace(FREE, requires_grad=False))).status == "pass"
    assert verdict_of("P08", run_of(*BASE, replace(FREE, in_graph=False))).status == "pass"


def test_frozen_by_omission_in_a_loaded_model_is_info() -> None:
    run = run_of(replace(ROOT, loaded=True), ENCODER, HEAD, ADAM, HELD, FREE)
    assert [f.severity for f in verdict_of("P08", run).findings] == ["info"]


def test_a_new_head_on_a_loaded_model_fails() -> None:
    run = run_of(replace(ROOT, loaded=True), ENCODER, HEAD, ADAM, replace(HELD, loaded=True), FREE)
    assert [f.severity for f in verdict_of("P08", run).findings] == [None]


def test_a_target_network_is_info() -> None:
    target = RootInfo(1, "target", "Net")
    inner = [ModuleInfo(3, "target.encoder", "Linear", "linear", 1)]
    copy = ParameterInfo(5, "target.encoder.weight", 3, [8, 8], "matrix", in_graph=True)
    run = run_of(*BASE, replace(FREE, optimizers=[0], module=9), target, *inner, copy)
    assert [f.severity for f in verdict_of("P08", run).findings] == ["info"]


def test_a_second_model_of_the_same_shape_fails_unless_it_began_as_a_copy() -> None:
    second = RootInfo(1, "critic2", "Net")
    inner = [ModuleInfo(3, "critic2.encoder", "Linear", "linear", 1)]
    own = ParameterInfo(5, "critic2.encoder.weight", 3, [8, 8], "matrix", in_graph=True, first_values="b")
    trained = replace(FREE, optimizers=[0], module=9)

    def severities(*records: object) -> list[object]:
        run = run_of(ROOT, ENCODER, HEAD, ADAM, replace(HELD, first_values="a"), trained, *inner, *records)
        return [f.severity for f in verdict_of("P08", run).findings]

    assert severities(second, own) == [None]
    assert severities(second, replace(own, first_values="a")) == ["info"]
    assert severities(replace(second, name="critic_target"), own) == ["info"]


@pytest.mark.parametrize(("calls", "status"), [(0, "fail"), (1, "pass"), (3, "pass"), (6, "fail"), (128, "fail")])
def test_a_model_of_a_test_before_the_training_is_no_part_of_it(calls: int, status: str) -> None:
    other = RootInfo(1, "core", "Cell", train_calls=calls)
    inner = ModuleInfo(3, "core.linear", "Linear", "linear", 1)
    own = ParameterInfo(5, "core.linear.weight", 3, [7, 3], "matrix", in_graph=True)
    long = replace(ADAM, steps=4000)  # of which 128 were watched so closely that calls were counted
    main = replace(ROOT, train_calls=128)
    assert verdict_of("P08", run_of(main, ENCODER, HEAD, long, HELD, other, inner, own)).status == status


def test_an_update_by_hand_passes() -> None:
    run = run_of(*BASE, FREE, series={WEIGHT_NORM: [[1.0, 1.0 + i / 100] for i in range(20)]})
    assert verdict_of("P08", run).status == "pass"


def test_tables_that_were_filled_are_info_and_tables_that_were_drawn_fail() -> None:
    filled = replace(FREE, role="embedding", write_location=HEAD_LINE)
    assert [f.severity for f in verdict_of("P08", run_of(*BASE, filled)).findings] == ["info"]
    assert [f.severity for f in verdict_of("P08", run_of(*BASE, replace(filled, drawn=True))).findings] == [None]


def test_layers_in_a_plain_dict_are_told_by_its_name() -> None:
    paths = ("model.tables['a']", "model.tables['b']")
    modules = [ModuleInfo(i, path, "Embedding", "embedding", 0) for i, path in enumerate(paths, 5)]
    loose = [replace(FREE, index=m.index, module=m.index, name=f"{m.path}.weight") for m in modules]
    (finding,) = verdict_of("P08", run_of(*BASE, *modules, *loose)).findings
    assert finding.module == "model.tables"


def test_layers_in_a_plain_list_fail() -> None:
    loose = ParameterInfo(7, "Linear.weight", -1, [4, 4], "matrix", in_graph=True, location=HEAD_LINE)
    (finding,) = verdict_of("P08", run_of(*BASE, loose)).findings
    assert finding.location == HEAD_LINE


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("return AdamW(groups, lr=lr)", HEAD_LINE),
        ("opt = Adam([*model.body.parameters(), *model.out.parameters()])", Location("train.py", 30)),
    ],
)
def test_the_line_of_a_plain_list_where_the_optimizer_is_handed_groups(code: str, line: Location) -> None:
    listed = ModuleInfo(5, "model.h[0].fc", "Linear", "linear", 0, HEAD_LINE)
    loose = replace(FREE, index=5, module=5, name="model.h[0].fc.weight")
    adam = replace(ADAM, location=Location("train.py", 30, "", code))
    records = [adam if r is ADAM else r for r in BASE]
    (finding,) = verdict_of("P08", run_of(*records, listed, loose)).findings
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == (line.file, line.line)


def test_one_of_a_plain_list_that_the_groups_forget_fails_at_the_optimizer() -> None:
    heads = [ModuleInfo(5 + i, f"model.heads[{i}]", "Linear", "linear", 0, HEAD_LINE) for i in range(2)]
    held = replace(HELD, index=5, module=5, name="model.heads[0].weight")
    loose = replace(FREE, index=6, module=6, name="model.heads[1].weight")
    adam = replace(ADAM, location=Location("train.py", 30, "", "opt = Adam(groups)"), parameters=[0, 5])
    records = [adam if r is ADAM else r for r in BASE]
    (finding,) = verdict_of("P08", run_of(*records, *heads, held, loose)).findings
    assert finding.location is not None and finding.location.line == 30


def test_stale_tensors_are_left_to_p10() -> None:
    stale = ParameterInfo(7, "Adam.param1", -1, [3, 8], "matrix", optimizers=[0])
    assert verdict_of("P08", run_of(*BASE, FREE, stale)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P08", run_of(ROOT, ENCODER, HEAD, replace(ADAM, steps=0), HELD, FREE)).status == "inconclusive"
    assert verdict_of("P08", run_of(ROOT, ENCODER, HEAD, FREE)).status == "skipped"


def test_a_tensor_that_no_module_registers_fails_at_its_line() -> None:
    loose = ParameterInfo(7, "Net.pos", -1, [4, 4], "matrix", in_graph=True, location=HEAD_LINE)
    (finding,) = verdict_of("P08", run_of(*BASE, loose)).findings
    assert (finding.location, finding.parameters) == (HEAD_LINE, (7,))
    assert verdict_of("P08", run_of(*BASE, replace(loose, in_graph=False))).status == "pass"


def test_an_optimizer_that_was_given_another_models_parameters_is_the_line() -> None:
    one = OptimizerInfo(0, "Adam", steps=20, location=Location("train.py", 9))
    other = replace(one, index=1, location=Location("train.py", 10))
    records = [
        RootInfo(0, "maker", "Linear", train_calls=20),
        RootInfo(1, "judge", "Linear", train_calls=20),
        ModuleInfo(0, "maker", "Linear", "linear", 0),
        ModuleInfo(1, "judge", "Linear", "linear", 1),
        ParameterInfo(0, "weight", 0, [4, 4], "matrix", in_graph=True, gradients_nonzero=20),
        ParameterInfo(1, "weight", 1, [4, 4], "matrix", optimizers=[0, 1], in_graph=True, gradients_nonzero=20),
    ]
    (finding,) = verdict_of("P08", run_of(one, other, *records)).findings
    assert finding.location == other.location


def test_a_thaw_that_no_optimizer_heard_of() -> None:
    """The table of this run says nothing: an optimizer of an earlier phase held the parameter."""
    seen = Thawed(0, 40, looks=3, parameters=[1])
    run = run_of(*BASE, replace(FREE, optimizers=[1]), seen)
    (finding,) = verdict_of("P08", run).findings
    assert (finding.location, finding.module, finding.onset_step) == (OPTIMIZER_LINE, "model.head", 40)
    assert finding.patch == "add-parameters:thawed"
    assert verdict_of("P08", run_of(*BASE, replace(FREE, optimizers=[1]), replace(seen, looks=2))).status == "pass"


def flow(line: str) -> list[Finding]:
    """Three layers that are called one by one, and an optimizer of two tensors that no called model has."""
    roots = [RootInfo(i, f"Coupling{i or ''}", "Coupling", train_calls=20) for i in range(3)]
    layers = [ModuleInfo(i, f"{r.name}.net", "Linear", "linear", i) for i, r in enumerate(roots)]
    unheld = [replace(FREE, index=i, module=i, name=f"{r.name}.net.weight") for i, r in enumerate(roots)]
    base = replace(HELD, index=9, module=-1, name="loc", gradients_nonzero=20)
    adam = replace(ADAM, location=Location("train.py", 30, "", line), parameters=[9])
    return verdict_of("P08", run_of(*roots, *layers, *unheld, base, adam)).findings


def test_models_of_one_class_in_a_plain_list_make_one_finding() -> None:
    (finding,) = flow("opt = AdamW(flow.parameters(), lr=4e-3)")
    assert finding.severity is None
    assert "3 parameters of 3 models of class Coupling" in finding.message
    assert "ModuleList" in finding.fix
    assert finding.parameters == (0, 1, 2)


def test_an_input_that_is_trained_leaves_models_fixed() -> None:
    assert [f.severity for f in flow("opt = AdamW([image, mask], lr=4e-3)")] == ["info"]
