"""D05 same-batch-every-time."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.loop_ends import LoopEnd
from flightcheck.recording.picked_rows import IdleLoop
from flightcheck.recording.records import LoaderInfo, Location
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import CALL, batches

LOADER = LoaderInfo(
    0, Location("train.py", 20), length=30, batch_size=64, shuffle=False, examples=1900, iterators=60, batches=60,
    iterator_location=Location("train.py", 35), used_in_training=True,
)  # fmt: skip


def test_first_batch_in_every_step_fails_at_the_iterator() -> None:
    (finding,) = verdict_of("D05", run_of(LOADER, *batches(60, digest="same"), steps=60)).findings
    assert finding.location == LOADER.iterator_location
    assert finding.patch == "loader:continue"


def test_fetched_but_not_used_fails_at_the_model_call() -> None:
    loader = replace(LOADER, iterators=2)
    (finding,) = verdict_of("D05", run_of(loader, *batches(60, digest="same"), steps=60)).findings
    assert finding.location == CALL
    assert finding.patch == "", "the iterator goes on already"


def test_different_batches_pass() -> None:
    assert verdict_of("D05", run_of(replace(LOADER, iterators=2), *batches(60), steps=60)).status == "pass"


def test_shuffled_sampling_by_new_iterators_is_information() -> None:
    loader = replace(LOADER, shuffle=True)
    (finding,) = verdict_of("D05", run_of(loader, *batches(60), steps=60)).findings
    assert finding.severity == "info"


def test_full_batch_passes() -> None:
    loader = replace(LOADER, length=1, batch_size=64, iterators=60)
    assert verdict_of("D05", run_of(loader, *batches(60, digest="same"), steps=60)).status == "pass"


def test_full_batch_without_loader_is_skipped() -> None:
    assert verdict_of("D05", run_of(*batches(60, digest="same"), steps=60)).status == "skipped"


def test_one_batch_to_overfit_passes() -> None:
    loader = replace(LOADER, iterators=1, batches=1)
    assert verdict_of("D05", run_of(loader, *batches(60, digest="same"), steps=60)).status == "pass"


def test_constant_input_of_another_size_passes() -> None:
    """A graph or grid that is fed in every step, while the loader's data go into the loss."""
    fixed = batches(60, digest="same", shape=[2708, 1433])
    assert verdict_of("D05", run_of(LOADER, *fixed, steps=60)).status == "pass"
    wide = batches(60, digest="same", shape=[2708, LOADER.batch_size])  # as many features as the loader gives nodes
    assert verdict_of("D05", run_of(LOADER, *wide, steps=60)).status == "pass"


def test_constant_mask_beside_varying_ids_passes() -> None:
    masks = batches(60, digest="mask", argument="1")
    assert verdict_of("D05", run_of(replace(LOADER, iterators=2), *batches(60), *masks, steps=60)).status == "pass"


def test_sam_and_closures_pass() -> None:
    twice = [b for pair in zip(batches(60), batches(60)) for b in pair]
    assert verdict_of("D05", run_of(replace(LOADER, iterators=2), *twice, steps=60)).status == "pass"


def test_few_steps_are_inconclusive() -> None:
    assert verdict_of("D05", run_of(LOADER, *batches(5, digest="same"), steps=5)).status == "inconclusive"
    assert verdict_of("D05", run_of(LOADER, steps=50)).status == "inconclusive"


def test_a_batch_loop_whose_variable_nothing_uses_fails_at_the_cut() -> None:
    cut = Location("train.py", 33, "", "rows = order[:64]")
    loop = IdleLoop(Location("train.py", 32), "k", "size", cut)
    (finding,) = verdict_of("D05", run_of(loop, *batches(60, digest="same"), steps=60)).findings
    assert finding.location == cut
    assert finding.patch == "source:begin:train.py:32"
    assert verdict_of("D05", run_of(loop, *batches(60), steps=60)).status == "skipped"
    assert (
        verdict_of("D05", run_of(replace(loop, size="10"), *batches(60, digest="same"), steps=60)).status == "skipped"
    )


def test_the_loop_over_epochs_inside_of_the_loop_over_batches() -> None:
    outer, inner = Location("train.py", 20), Location("train.py", 21)
    loops = LoopEnd("inside-out", outer, inner, "for", 15)
    loader = LoaderInfo(0, Location("train.py", 5), length=70, iterators=1, batches=3, iterator_location=outer)
    used = replace(loader, used_in_training=True)
    (finding,) = verdict_of("D05", run_of(loops, used, steps=40)).findings
    assert finding.location == inner
    assert verdict_of("D05", run_of(loops, replace(used, iterators=3), steps=40)).status != "fail"
