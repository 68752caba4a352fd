"""Losses between what two loaders gave, in real trainings; and the trial that draws both in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

import flightcheck
from flightcheck.adapters.torch.separate_orders import Orders, _address
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.separate_orders import SeparateOrders
from flightcheck.testing import verdict_of
from tests.lab.made import patched

X = torch.rand(64, 3, generator=torch.Generator().manual_seed(0))
Y = X.flip(1)
Pairs = Iterable[tuple[torch.Tensor, torch.Tensor]]


def loader(*tensors: torch.Tensor, **options: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*tensors), batch_size=16, **{"shuffle": True, **options})


def both_shuffled() -> Pairs:
    one, other = loader(X), loader(Y)
    for _ in range(3):
        yield from ((x, y) for (x,), (y,) in zip(one, other))


def one_shuffled() -> Pairs:
    one, other = loader(X), loader(Y, shuffle=False)
    for _ in range(3):
        yield from (((x - 0.5) / 0.3, y.double().float()) for (x,), (y,) in zip(one, other))


def parts_shuffled() -> Pairs:
    """The loaders' tables are parts of larger ones."""
    more_x, more_y = torch.cat([X, X]), torch.cat([Y, Y])
    one, other = loader(more_x[:64]), loader(more_y[:64])
    for _ in range(3):
        yield from ((x, y) for (x,), (y,) in zip(one, other))


def asked_twice() -> Pairs:
    one = loader(X, Y)
    for _ in range(10):
        x = next(iter(one))[0]
        yield x, next(iter(one))[1]


def one_loader() -> Pairs:
    one = loader(X, Y)
    for _ in range(3):
        yield from one


def one_seed() -> Pairs:
    for epoch in range(3):
        generators = [torch.Generator().manual_seed(epoch) for _ in range(2)]
        one, other = loader(X, generator=generators[0]), loader(Y, generator=generators[1])
        yield from ((x, y) for (x,), (y,) in zip(one, other))


def both_in_order() -> Pairs:
    one, other = loader(X, shuffle=False), loader(Y, shuffle=False)
    for _ in range(3):
        yield from ((x, y) for (x,), (y,) in zip(one, other))


def mixed_up() -> Pairs:
    """Mixup: the target of the second batch, and an input that holds a part of it."""
    batches: Iterator[Any] = iter([batch for _ in range(4) for batch in loader(X, Y)])
    for (x, _), (other, y) in pairwise(batches):
        yield 0.7 * x + 0.3 * other, y


def written_into() -> Pairs:
    one = loader(X, Y)
    for _ in range(5):
        for (x, _), (other, y) in zip(one, one):
            x = x.clone()
            x[:, 1:] = other[:, 1:]
            yield x, y


def distributions() -> Pairs:
    """Nothing pairs up: the sorted values of a batch are one target for all of it."""
    one, other = loader(X), loader(Y)
    for _ in range(3):
        yield from ((x, y.sort(0).values) for (x,), (y,) in zip(one, other))


def other_lengths() -> Pairs:
    one, other = loader(X), loader(Y[:60])
    for _ in range(3):
        yield from ((x[: len(y)], y) for (x,), (y,) in zip(one, other))


def picked_apart() -> Pairs:
    for _ in range(3):
        order = torch.randperm(64)
        for i in range(0, 64, 16):
            yield X[order[i : i + 16]], Y[i : i + 16].float()


def picked_together() -> Pairs:
    shuffled_x, shuffled_y = X[torch.arange(63, -1, -1)], Y[torch.arange(63, -1, -1)]
    for _ in range(3):
        for rows in torch.randperm(64).split(16):
            yield X[rows], Y[rows]
        for i in range(0, 64, 16):
            yield shuffled_x[i : i + 16], shuffled_y[i : i + 16]


def one_step_ahead() -> Pairs:
    """Rows of one table, and those that come next in another one."""
    for _ in range(6):
        for i in range(0, 45, 15):
            yield X[i : i + 15], Y[i + 1 : i + 16]


def parts_of_tables() -> Pairs:
    train = torch.randperm(64)[:48]
    for _ in range(4):
        for rows in torch.randperm(48).split(12):
            yield X[train][rows], Y[train[rows]]


APART = (both_shuffled, one_shuffled, parts_shuffled, asked_twice)
TOGETHER = (
    one_loader, one_seed, both_in_order, mixed_up, written_into, distributions, other_lengths,
    picked_together, one_step_ahead, parts_of_tables,
)  # fmt: skip


def by_hand(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    error: torch.Tensor = (output - target).pow(2).mean()
    return error


def train(pairs: Pairs, loss: Callable[..., torch.Tensor] = F.mse_loss) -> None:
    model = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in pairs:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


def run_of_training(pairs: Pairs, loss: Any, folder: Path) -> flightcheck.Run:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(pairs, loss)
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return watched.run


@pytest.mark.parametrize("loss", [F.mse_loss, by_hand])
@pytest.mark.parametrize("pairs", APART)
def test_targets_of_other_inputs(pairs: Callable[[], Pairs], loss: Any, tmp_path: Path) -> None:
    run = run_of_training(pairs(), loss, tmp_path)
    (found,) = run.recorded(SeparateOrders)
    assert found.apart == found.calls >= 6
    assert found.examples == 64
    assert found.one_loader is (pairs is asked_twice)
    assert found.same_places < 0.2
    (finding,) = verdict_of("D07", run).findings
    assert finding.location is not None
    assert ("yield x, next" if pairs is asked_twice else "return DataLoader") in finding.location.code
    diff = diff_of([Patch.parse(finding.patch)], finding, run)
    assert ("of one batch" in diff) is found.one_loader


@pytest.mark.parametrize("loss", [F.mse_loss, by_hand])
def test_rows_that_a_script_picks_by_other_numbers(loss: Any, tmp_path: Path) -> None:
    run = run_of_training(picked_apart(), loss, tmp_path)
    (found,) = run.recorded(SeparateOrders)
    assert found.picked and found.apart == found.calls >= 6 and found.examples == 64
    (finding,) = verdict_of("D07", run).findings
    assert finding.location is not None and "Y[i : i + 16]" in finding.location.code


@pytest.mark.parametrize("pairs", TOGETHER)
def test_targets_that_belong_to_their_inputs(pairs: Callable[[], Pairs], tmp_path: Path) -> None:
    run = run_of_training(pairs(), by_hand if pairs is mixed_up else F.mse_loss, tmp_path)
    assert run.recorded(SeparateOrders) == []


@pytest.mark.parametrize("pairs", APART)
def test_one_order_for_both(pairs: Callable[[], Pairs], tmp_path: Path) -> None:
    seen = []

    def noted() -> Pairs:
        for x, y in pairs():
            seen.append((x, y))
            yield x, y

    done = patched(tmp_path, "shuffle:together", lambda: train(noted()))
    assert done.applied["shuffle:together"] >= 3
    assert len(seen) >= 10
    for x, y in seen:
        x = x * 0.3 + 0.5 if pairs is one_shuffled else x
        assert torch.allclose(x.flip(1), y, atol=1e-5)


class Given:
    """As much of a loader's iterator as is looked at."""

    def __init__(self, dataset: Any, shuffled: Any) -> None:
        self._dataset = dataset
        self._index_sampler = BatchSampler(shuffled(dataset), 4, drop_last=False)


def test_what_workers_drew_while_nobody_looked_is_not_known() -> None:
    watch: Any = SimpleNamespace(learning=True, lines=SimpleNamespace(here=lambda: None), writer=None)
    orders, tensors = Orders(watch), (torch.rand(4, 2), torch.rand(4, 2))
    one, other = (Given(TensorDataset(t), RandomSampler) for t in tensors)

    def compare(drawn: tuple[list[int], list[int]]) -> int:
        for iterator, tensor, index in zip((one, other), tensors, drawn, strict=True):
            orders.drawn(iterator, index)
            orders.fetched(iterator, (tensor,), None)
        output = tensors[0] * 2
        orders.look("mul", (tensors[0], 2), {}, output)
        orders.compared(0, output, tensors[1])
        return orders._sites[0].apart if 0 in orders._sites else 0

    compare(([0, 1, 2, 3], [0, 1, 2, 3]))  # the first batch comes before there is a second loader
    assert compare(([0, 1, 2, 3], [0, 1, 2, 3])) == 0
    assert compare(([0, 1, 2, 3], [3, 1, 2, 0])) == 1
    watch.learning = False
    orders.drawn(one, [1, 2, 3, 0])
    watch.learning = True
    assert compare(([0, 1, 2, 3], [3, 1, 2, 0])) == 1


def test_tensors_that_stand_for_many_have_no_address() -> None:
    told: list[int] = []
    torch.func.vmap(lambda x: (told.append(_address(x)), x * 2)[1])(torch.rand(3, 2))
    assert told == [-1] and _address(torch.rand(2)) > 0
