"""What watching a step is made of, counted: free of noise, so it can fail a build. Times are for `make bench`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.overhead.__main__ import page, verdict
from benchmarks.overhead.measuring import NOTHING, WATCHED, Measured, Ratio, ratio_of
from benchmarks.overhead.watching import Watching, hooks, operations, parameters_in_bytes, python_calls
from benchmarks.overhead.workloads import WORKLOADS, Workload
from flightcheck.adapters.torch.budget import FULL, GRADIENTS, OUTPUTS, REST, WEIGHTS
from flightcheck.adapters.torch.native import library

KERNEL, REASON = library.load()
MOST_CALLS = 260
"""Python functions of ours in a step of which weights and gradients are measured."""
MOST_CALLS_AT_REST = 60
"""Those of a step of which only the loss is read."""
ROUNDS = 130
"""Past the rounds in which everything is recorded."""


@pytest.fixture(params=["mlp", "lstm"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Workload, Watching, int]]:
    work = WORKLOADS[request.param]()
    for _ in range(3):
        work.step()
    bare = operations(work.step)
    watching = Watching(tmp_path)
    for _ in range(ROUNDS):
        work.step()
    yield work, watching, bare
    assert watching.observer.watch.errors == []
    watching.close()


def every_round(watching: Watching, level: int) -> None:
    """Let the budget decide the same for all rounds from now on."""
    budget, watch = watching.observer.budget, watching.observer.watch

    def decided(of: int, cost: float) -> int:
        watch.every_step = budget.cheap
        return level

    budget._next = decided  # type: ignore[method-assign]


def test_a_step_takes_one_call_of_the_kernel_and_reads_the_loss(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, bare = watched
    every_round(watching, WEIGHTS)
    for _ in range(3):
        work.step()
    for _ in range(3):
        before = watching.native_calls
        extra = operations(work.step) - bare
        assert extra == 2, "detach and item of the loss"
        assert watching.native_calls - before == (1 if KERNEL else 0)
    assert python_calls(work.step) <= MOST_CALLS


@pytest.mark.skipif(KERNEL is None, reason=f"no kernel: {REASON}")
def test_gradients_alone_take_one_call_too(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, _ = watched
    every_round(watching, GRADIENTS)
    for _ in range(2):
        work.step()
    before = watching.native_calls
    work.step()
    assert watching.native_calls - before == 1


def test_a_rested_round_reads_the_loss_and_nothing_else(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, bare = watched
    every_round(watching, REST)
    for _ in range(3):
        work.step()
    before = watching.native_calls
    extra = operations(work.step) - bare
    assert extra == 2, "detach and item of the loss"
    assert watching.native_calls == before
    assert python_calls(work.step) <= MOST_CALLS_AT_REST


def test_no_hook_lies_on_the_model_at_any_time(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, _ = watched
    for level in (REST, GRADIENTS, WEIGHTS, OUTPUTS, FULL):
        every_round(watching, level)
        for _ in range(2):
            work.step()
        assert hooks(work.model) == 0
        assert (watching.observer.forward.look_at is not None) == (level >= OUTPUTS)


@pytest.mark.skipif(KERNEL is None, reason=f"no kernel: {REASON}")
def test_one_copy_of_the_weights_is_kept(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, _ = watched
    assert watching.observer.statistics.measures.copied == parameters_in_bytes(work.model)


def test_paused_it_is_not_there(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, bare = watched
    watching.pause()
    before = watching.native_calls
    assert operations(work.step) == bare
    assert python_calls(work.step) == 0
    assert watching.native_calls == before
    watching.resume()
    every_round(watching, WEIGHTS)
    for _ in range(2):  # what the first one measures was decided before
        work.step()
    assert watching.native_calls > before or KERNEL is None


# -- what the page says -------------------------------------------------------------------------------------------------


def measured(watched: list[float], nothing: list[float]) -> Measured:
    found = Measured("mlp", "a model", 1, len(watched), 100, 0.001)
    found.processor = {WATCHED: ratio_of(watched), NOTHING: ratio_of(nothing)}
    found.wall = dict(found.processor)
    found.every = {"weights": 1.0, "activations": 7.2, "everything": 90.0}
    found.counts = {"operations": 2, "native": 1, "hooks": 0, "python": 150, "bytes": 1000}
    return found


QUIET = [0.999, 1.0, 1.001] * 7


def test_a_claim_needs_an_interval_below_it_and_a_quiet_control() -> None:
    assert verdict(measured([1.009, 1.01, 1.011] * 7, QUIET)) == "yes"
    assert verdict(measured([1.04, 1.05, 1.06] * 7, QUIET)) == "no"
    assert verdict(measured([0.9, 1.0, 1.1] * 7, QUIET)) == "not resolved"
    assert verdict(measured([1.009, 1.01, 1.011] * 7, [0.9, 1.0, 1.1] * 7)) == "not resolved"


def test_the_interval_holds_the_median() -> None:
    ratio = ratio_of([1.0, 1.1, 1.2, 1.3, 1.4] * 4)
    assert ratio.low <= ratio.median <= ratio.high
    assert isinstance(ratio, Ratio)
    assert ratio.lower_quartile < ratio.median < ratio.upper_quartile


def test_a_busy_machine_supports_no_claim() -> None:
    results = [measured([1.009, 1.01, 1.011] * 7, QUIET)]
    quiet, busy = page(results, (0.1, 1.0), 0.02), page(results, (6.0, 6.0), 0.02)
    assert "| yes |" in quiet
    assert "busy" not in quiet
    assert "| yes |" not in busy
    assert "the machine was busy" in busy
    assert "every 7.2 (" in quiet
