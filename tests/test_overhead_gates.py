"""What watching a step is made of, counted: free of noise, so it can fail a build. Times are for `make bench`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.overhead.__main__ import page, verdict
from benchmarks.overhead.measuring import NOTHING, WATCHED, Measured, Ratio, ratio_of
from benchmarks.overhead.watching import Watching, hooks, operations, parameters_in_bytes, python_calls
from benchmarks.overhead.workloads import WORKLOADS, Workload
from flightcheck.adapters.torch import resources
from flightcheck.adapters.torch.budget import FULL, GRADIENTS, OUTPUTS, REST, WEIGHTS, Budget
from flightcheck.adapters.torch.native import library
from flightcheck.adapters.torch.operations import Operations

KERNEL, REASON = library.load()
MOST_CALLS = 110
"""Python functions of ours in a step of which weights and gradients are measured: its calls are not noted (265, if so)."""
MOST_CALLS_AT_REST = 24
"""Those of a step of which only the loss is read: of an MLP, with its one call for each module."""
MOST_CALLS_LINEAR, MOST_CALLS_GAN = 23, 58
"""The same of the smallest trainings, with a loader: one layer; and two optimizers, with 16 calls of modules."""
MOST_CALLS_IN_FULL = 1170
"""Those of a step of the GAN that is measured in full: as many as of its 19 calls of modules and 8 parameters."""
LAYERS = 20
MOST_IN_A_LAYER, MOST_BESIDE_LAYERS = 2, 20
"""Operations that pass through the function mode: of a layer that is one operation, and of the loss and its end."""
ROUNDS = 130
"""Past the rounds in which everything is recorded."""


def linear() -> Callable[[], None]:
    """One layer, fed by a loader."""
    model, loss = nn.Linear(8, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batches = iter(DataLoader(TensorDataset(torch.randn(2000, 8), torch.randn(2000, 1)), batch_size=8))

    def step() -> None:
        x, y = next(batches)
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def gan() -> Callable[[], None]:
    """Two models and two optimizers."""
    maker = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    judge = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    makes, judges = (torch.optim.Adam(m.parameters(), 1e-3) for m in (maker, judge))
    loss, real, not_real = nn.BCEWithLogitsLoss(), torch.ones(8, 1), torch.zeros(8, 1)
    batches = iter(DataLoader(TensorDataset(torch.randn(2000, 2)), batch_size=8))

    def step() -> None:
        (x,) = next(batches)
        made = maker(torch.randn(8, 4))
        judges.zero_grad()
        (loss(judge(x), real) + loss(judge(made.detach()), not_real)).backward()
        judges.step()
        makes.zero_grad()
        loss(judge(made), real).backward()
        makes.step()

    return step


def test_what_we_ask_of_tensors_does_not_pass_through_our_function_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is learnt what a training is made of, each operation of the script passes there: of ours, none does."""
    passed: list[str] = []
    original = Operations.__torch_function__

    def counted(self: Operations, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        passed.append(getattr(func, "__name__", ""))
        return original(self, func, types, args, kwargs)

    monkeypatch.setattr(Operations, "__torch_function__", counted)
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(LAYERS)))
    watching = Watching(tmp_path)
    for _ in range(2):
        passed.clear()
        model(torch.ones(4, 8)).square().mean().backward()
    watching.close()
    assert passed.count("linear") == LAYERS
    assert len(passed) <= LAYERS * MOST_IN_A_LAYER + MOST_BESIDE_LAYERS


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
    watching.observer.rested.ask_again()
    watching.observer._saved = math.inf  # the records are written every two seconds, on a busy machine in any step


def test_a_step_takes_one_call_of_the_kernel_and_reads_the_loss(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, bare = watched
    every_round(watching, WEIGHTS)
    for _ in range(3):
        work.step()
    for _ in range(3):
        before = watching.native_calls
        extra = operations(work.step) - bare
        assert extra == 1, "the value of the loss"
        assert watching.native_calls - before == (1 if KERNEL else 0)
    assert min(python_calls(work.step) for _ in range(4)) <= MOST_CALLS  # in some, what was found is written


@pytest.mark.skipif(KERNEL is None, reason=f"no kernel: {REASON}")
def test_gradients_alone_take_one_call_too(watched: tuple[Workload, Watching, int]) -> None:
    work, watching, _ = watched
    every_round(watching, GRADIENTS)
    for _ in range(2):
        work.step()
    before = watching.native_calls
    work.step()
    assert watching.native_calls - before == 1


def test_a_rested_round_reads_the_loss_and_nothing_else(
    watched: tuple[Workload, Watching, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, watching, bare = watched
    long_rests(monkeypatch)
    every_round(watching, REST)
    for _ in range(3):
        work.step()
    before = watching.native_calls
    extra = operations(work.step) - bare
    assert extra == 1, "the value of the loss"
    assert watching.native_calls == before
    assert python_calls(work.step) <= MOST_CALLS_AT_REST


def long_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """No round that is counted is one in which the budget is asked or the graphs that are held are counted: one of fifty
    each.
    """
    monkeypatch.setattr(Budget, "rounds_at_rest", property(lambda self: 1000))
    monkeypatch.setattr(resources, "_COUNTED_EVERY", 10_000)


@pytest.mark.parametrize(("training", "most"), [(linear, MOST_CALLS_LINEAR), (gan, MOST_CALLS_GAN)])
def test_what_the_smallest_trainings_are_made_of(
    training: Callable[[], Callable[[], None]], most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = training()
    watching = Watching(tmp_path)
    for _ in range(ROUNDS):
        step()
    long_rests(monkeypatch)
    every_round(watching, REST)
    for _ in range(6):
        step()
    try:
        assert max(python_calls(step) for _ in range(4)) <= most
        assert watching.observer.watch.errors == []
    finally:
        watching.close()


def test_what_a_full_look_is_made_of(tmp_path: Path) -> None:
    """So many calls that they do not grow with the steps before it."""
    step = gan()
    watching = Watching(tmp_path)
    for _ in range(ROUNDS):
        step()
    every_round(watching, FULL)
    for _ in range(3):
        step()
    try:
        assert max(python_calls(step) for _ in range(4)) <= MOST_CALLS_IN_FULL
        assert watching.observer.watch.errors == []
    finally:
        watching.close()


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


def measured(watched: list[float], nothing: list[float], step: float = 0.01) -> Measured:
    found = Measured("mlp", "a model", 1, len(watched), 100, step)
    found.processor = {WATCHED: ratio_of(watched), NOTHING: ratio_of(nothing)}
    found.wall = dict(found.processor)
    found.every = {"gradients": 1.0, "weights": 1.0, "activations": 7.2, "everything": 90.0}
    found.counts = {"operations": 2, "native": 1, "hooks": 0, "python": 150, "bytes": 1000}
    return found


QUIET = [0.999, 1.0, 1.001] * 7


def test_a_claim_needs_an_interval_below_it_and_a_quiet_control() -> None:
    assert verdict(measured([1.009, 1.01, 1.011] * 7, QUIET)) == "yes"
    assert verdict(measured([1.04, 1.05, 1.06] * 7, QUIET)) == "no"
    assert verdict(measured([0.9, 1.0, 1.1] * 7, QUIET)) == "not resolved"
    assert verdict(measured([1.009, 1.01, 1.011] * 7, [0.9, 1.0, 1.1] * 7)) == "not resolved"


def test_short_steps_are_judged_by_fifty_microseconds() -> None:
    assert verdict(measured([1.04, 1.041, 1.042] * 7, QUIET, step=0.001)) == "yes"
    assert verdict(measured([1.06, 1.061, 1.062] * 7, QUIET, step=0.001)) == "no"
    assert "| 41 |" in page([measured([1.041] * 21, QUIET, step=0.001)], (0.1, 1.0), 0.02)


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
