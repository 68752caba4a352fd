"""D08 train-val-leak-exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flightcheck.recording.batches import Batch
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.records import LoaderInfo, Location, OptimizerInfo, ParameterInfo, Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches, losses

CALL = Location("train.py", 60, "evaluate", "scores = model(x_val[i : i + 64])")
SPLIT = Location("train.py", 12, "", "x_val = x[:200]")
OPTIMIZER = [ParameterInfo(0, "weight", 0, [3, 3], "matrix")]


def training(rows: int = 40, **changes: Any) -> list[Batch]:
    return [
        b for i in range(10) for b in batches(1, step=i, rows=list(range(1 + i * rows, 1 + i * rows + rows)), **changes)
    ]


def evaluated(rows: list[int], step: int = 10, **changes: Any) -> list[Batch]:
    return batches(1, **{"step": step, "training": False, "rows": rows, "location": CALL, "origin": SPLIT, **changes})


def run(*records: Any) -> Any:
    return verdict_of("D08", run_of(LINEAR, *records))


def test_validation_examples_that_were_trained_on() -> None:
    (finding,) = run(*training(), *evaluated(list(range(101, 201)))).findings
    assert "100 of 100" in finding.message
    assert finding.severity is None
    assert finding.location == SPLIT


def test_a_part_of_them_is_a_warning() -> None:
    (finding,) = run(*training(), *evaluated([*range(1, 11), *range(1001, 1091)])).findings
    assert finding.severity == "warn"


def test_the_loader_tells_the_name_and_the_part_that_was_watched() -> None:
    lines = [
        Location("train.py", n, "", c)
        for n, c in ((20, "train_dl = DataLoader(data)"), (21, "val_dl = DataLoader(part)"))
    ]
    loaders = [LoaderInfo(i, line) for i, line in enumerate(lines)]
    datasets = [DatasetInfo(0, 0, examples=4000, shared=0), DatasetInfo(1, 1, examples=800, shared=0, whole=False)]
    rows = [*range(1, 11), *range(1001, 1091)]
    (finding,) = run(*training(source=0), *evaluated(rows, source=1), *loaders, *datasets).findings
    assert finding.severity is None
    assert finding.location == lines[0]


@pytest.mark.parametrize(
    "batch",
    [
        {"rows": list(range(1001, 1101))},
        {"rows": list(range(1, 101)), "location": Location("train.py", 60, "", "accuracy(model(x_train))")},
        {"rows": list(range(1, 101)), "location": Location("train.py", 60, "", "model(x)"), "origin": None},
        {"rows": list(range(1, 101)), "step": 0},
        {"rows": [*range(1, 4), *range(1001, 1101)]},
        {"rows": [0] * 100 + list(range(1001, 1050))},
    ],
    ids=["held out", "training data on purpose", "no name", "before they were trained on", "three", "blank rows"],
)
def test_healthy_evaluations_pass(batch: dict[str, Any]) -> None:
    assert run(*training(), *evaluated(**batch)).status == "pass"


def test_data_that_repeat_by_nature_pass() -> None:
    rows = [r % 30 + 1 for r in range(100)]
    assert run(*training(), *evaluated(rows)).status == "pass"


def test_copies_that_the_script_makes_before_it_splits_fail(tmp_path: Path) -> None:
    rows = [r % 60 + 1 for r in range(100)]
    for code, told in (("extra = rng.choice(rare, n, replace=True)", 1), ("extra = 1", 0)):
        (tmp_path / "train.py").write_text(code + "\n")
        at = Location(str(tmp_path / "train.py"), 1, "", "accuracy(model(x_val))")
        assert len(run(*training(), *evaluated(rows, location=at)).findings) == told


@pytest.mark.parametrize(
    ("given", "code", "copied", "told"),
    [
        ("X_va", "extra = rng.choice(rare, n, replace=True)", True, 1), ("X_va", "extra = 1", True, 0),
        ("X_va", "extra = rng.choice(rare, n, replace=True)", False, 0),
        ("X_tr", "extra = rng.choice(rare, n, replace=True)", True, 0),
        ("x, dev", "extra = rng.choice(rare, n, replace=True)", True, 0),
    ],
)  # fmt: skip
def test_the_call_of_a_function_names_what_was_copied(
    given: str, code: str, copied: bool, told: int, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(code + "\n")
    at = Location(str(tmp_path / "train.py"), 1, "predict", "return self.model(torch.tensor(X)) > 0")
    rows = [r % 60 + 1 for r in range(100)] if copied else list(range(1, 101))
    records = evaluated(rows, location=at, origin=None, given_as=[given])
    assert len(run(*training(), *records).findings) == told


def test_short_rows_of_few_values_meet_by_chance() -> None:
    digits = {"dtype": "int64", "shape": [100, 6], "distinct": 10}
    assert run(*training(), *evaluated(list(range(1, 101)), **digits)).status == "pass"


def test_one_input_of_several_may_be_equal_in_two_examples() -> None:
    graphs = {"shape": [40, 14, 14], "distinct": 2}
    records = [*training(**graphs), *evaluated([*range(1, 11), *range(1001, 1091)], **graphs)]
    assert run(*records).status == "fail"
    atoms = [replace(b, argument="1", rows=[], shape=[*b.shape[:1], 14], distinct=5) for b in records]
    assert run(*records, *atoms).status == "pass"


def test_repetition_within_one_pass_of_the_loader_counts() -> None:
    again = [b for i in range(10) for b in batches(1, step=i, rows=list(range(1, 41)), source=0)]
    loader = LoaderInfo(0, Location("train.py", 20, "", "loader = DataLoader(data)"), length=10)
    assert run(*again, *evaluated(list(range(1, 31))), loader, DatasetInfo(0, 0, examples=400)).status == "pass"


def test_a_model_that_was_reset_for_another_fold_passes() -> None:
    again = OptimizerInfo(1, "SGD", parameters=[0], created_at_step=5)
    verdict = run(*training(), *evaluated(list(range(1, 101))), *OPTIMIZER, again)
    assert verdict.status == "inconclusive"


def test_without_an_evaluation_it_is_inconclusive() -> None:
    assert run(*training()).status == "inconclusive"
    assert run(*training(), *evaluated([1, 2, 3, 4, 5, 6])).status == "inconclusive"


@pytest.mark.parametrize("regime", ["gan", "reinforcement", "second-order"])
def test_other_regimes_are_skipped(regime: str) -> None:
    assert run(Plan(regimes=[regime]), *training(), *evaluated(list(range(1, 101)))).status == "skipped"


@pytest.mark.parametrize(
    ("targets", "status"), [(33, "inconclusive"), (1290, "inconclusive"), (40, "fail"), (80, "fail")]
)
def test_nodes_of_one_graph_are_given_in_every_step(targets: int, status: str) -> None:
    nodes = list(range(1, 41))
    steps = [b for i in range(10) for b in batches(1, step=i, rows=nodes, shape=[40, 3], digest="graph")]
    calls = losses([0.7] * 10, every=1, target_shape=[targets])
    assert run(*steps, *evaluated(nodes, shape=[40, 3], digest="graph"), *calls).status == status


def test_all_nodes_of_a_graph_in_every_step_may_be_picked_by_a_loss_of_the_scripts_own() -> None:
    rows = list(range(1, 101))
    whole = [b for i in range(10) for b in batches(1, step=i, rows=rows)]
    assert run(*whole, *evaluated(rows)).status == "inconclusive"
    of_each = losses([2.0] * 10, every=1, target_shape=whole[0].shape[:1])
    assert run(*whole, *evaluated(rows), *of_each).status == "fail", "one target for each row"


def test_one_split_that_is_evaluated_from_two_lines_is_told_once() -> None:
    rows, origin = list(range(1, 101)), Location("train.py", 12, "", "X_val = X[half:]")
    lines = [Location("train.py", n, "", "accuracy(model(x_val))") for n in (60, 70)]
    found = run(*training(), *(b for at in lines for b in evaluated(rows, location=at, origin=origin))).findings
    assert len(found) == 1
