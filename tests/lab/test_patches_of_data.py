"""Patches of batches, targets and losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.lab.made import CLASSES, FEATURES, Loop, batches, data, mlp, patched, regression


def seen_batches(tmp_path: Path, patches: str, loop: Loop) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What model and loss were given."""
    inputs: list[torch.Tensor] = []
    targets: list[torch.Tensor] = []
    inner, inside = F.cross_entropy, [False]

    def cross_entropy(out: torch.Tensor, y: torch.Tensor, **options: Any) -> torch.Tensor:
        if not inside[0]:  # a function mode sends it through its own name once more
            targets.append(y.clone())
        inside[0] = True
        try:
            return inner(out, y, **options)
        finally:
            inside[0] = False

    loop.model.register_forward_pre_hook(lambda m, args: inputs.append(args[0].clone()))
    loop.loss = lambda out, y: F.cross_entropy(out, y)
    with pytest.MonkeyPatch.context() as patch:  # below the patches, as the framework itself is
        patch.setattr(F, "cross_entropy", cross_entropy)
        patched(tmp_path, patches, loop)
    return list(zip(inputs, targets, strict=True))


@pytest.mark.parametrize("loader", [True, False], ids=["loader", "by hand"])
def test_a_frozen_batch_is_tiled_and_keeps_its_labels(tmp_path: Path, loader: bool) -> None:
    x, y = data(20)
    pairs: Any = DataLoader(TensorDataset(x, y), batch_size=6) if loader else list(zip(x.split(6), y.split(6)))
    seen = seen_batches(tmp_path, "freeze-batch:4", Loop(pairs=pairs))
    assert [len(a) for a, _ in seen] == [6, 6, 6, 2], "as long as the script expects"
    for a, b in seen:
        rows = torch.arange(len(a)) * 4 // max(4, len(a))
        assert torch.equal(a, x[rows])
        assert torch.equal(b, y[rows])


def test_before_a_frozen_batch_counts_nothing_is_learnt(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Dropout(0.5), nn.Linear(8, CLASSES))
    loop = Loop(model)
    done = patched(tmp_path, "freeze-batch:8", loop)
    assert loop.updates[:3] == [0.0, 0.0, 0.0]
    assert loop.updates[3] > 0
    assert loop.losses[0] == loop.losses[1] == loop.losses[2], "dropout draws the same masks"
    assert loop.gradients[0] is not None, "the script finds its gradients where it left them"
    assert done.trained.failure == ""


def test_data_that_cannot_be_frozen_are_not_judged(tmp_path: Path) -> None:
    """The model makes its own data: what goes into it and into the loss is not all there is."""
    model = mlp()
    loop = Loop(model)
    loop.loss = lambda out, y: F.cross_entropy(out + 3 * torch.rand(()).item() * F.one_hot(y, CLASSES), y)
    done = patched(tmp_path, "freeze-batch:8", loop)
    assert "the batch could not be frozen" in done.trained.failure


def test_evaluations_are_not_frozen_where_no_loader_feeds_them(tmp_path: Path) -> None:
    x, _ = data(12)
    loop, evaluated = Loop(), []
    loop.model.register_forward_pre_hook(lambda m, args: evaluated.append(args[0].clone()) if not m.training else None)

    def run() -> None:
        loop()
        loop.model.eval()
        with torch.no_grad():
            loop.model(x)

    patched(tmp_path, "freeze-batch:4", run)
    assert torch.equal(evaluated[0], x)


@pytest.mark.parametrize("patch", ["inputs:zero", "inputs:permute", "inputs:standardize"])
def test_inputs(tmp_path: Path, patch: str) -> None:
    given = batches()
    seen = seen_batches(tmp_path, patch, Loop())
    for (x, y), (a, b) in zip(given, seen, strict=True):
        assert torch.equal(b, y), "labels stay"
        if patch == "inputs:zero":
            assert not a.any()
        elif patch == "inputs:permute":
            assert not (a == x).all(1).any(), "no row keeps its place"
            assert torch.equal(a.sort(0).values, x.sort(0).values)
    if patch == "inputs:standardize":
        first = seen[0][0]
        assert first.mean(0).abs().max() < 1e-5
        assert (first.std(0, correction=0) - 1).abs().max() < 1e-4
        mean, std = given[0][0].mean(0), given[0][0].std(0, correction=0)
        assert torch.allclose(seen[1][0], (given[1][0] - mean) / std, atol=1e-5), "with the first batch's statistics"


def test_images_are_standardized_per_channel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = torch.rand(12, 2, 4, 4) * torch.tensor([1.0, 255.0])[:, None, None]
    images[:, :, 0, 0] = 0  # a pixel that stands still
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, CLASSES))
    pairs = list(zip(images.split(6), torch.randint(0, CLASSES, (12,)).split(6)))
    first = seen_batches(tmp_path, "inputs:standardize", Loop(model, pairs=pairs))[0][0]
    assert first.mean((0, 2, 3)).abs().max() < 1e-5
    assert first.isfinite().all()
    assert first.abs().max() < 5


def test_a_feature_that_stands_still_does_not_explode(tmp_path: Path) -> None:
    x, y = data(24)
    x[:6, 0] = 1.0
    pairs = list(zip(x.split(6), y.split(6)))
    seen = seen_batches(tmp_path, "inputs:standardize", Loop(pairs=pairs))
    assert max(float(a.abs().max()) for a, _ in seen) < 100


@pytest.mark.parametrize("patch", ["inputs:zero", "inputs:permute"])
def test_token_ids_are_permuted_and_never_zeroed(tmp_path: Path, patch: str) -> None:
    torch.manual_seed(0)
    ids, y = torch.randint(1, 9, (12, 7)), torch.randint(0, CLASSES, (12,))
    model = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(28, CLASSES))
    ((seen, _),) = seen_batches(tmp_path, patch, Loop(model, pairs=[(ids, y)]))
    assert seen.dtype == torch.int64
    assert torch.equal(seen.sort(0).values, ids.sort(0).values)
    assert not torch.equal(seen, ids)


def test_arguments_by_name_move_together_and_labels_among_them_stay(tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, CLASSES)
            self.seen: list[dict[str, torch.Tensor]] = []

        def forward(self, x: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            self.seen.append({"x": x, "mask": mask, "labels": labels})
            return F.cross_entropy(self.layer(x * mask), labels)

    torch.manual_seed(0)
    model = Named()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, mask, y = torch.rand(6, 4), torch.rand(6, 4).round(), torch.randint(0, CLASSES, (6,))

    def run() -> None:
        model(x=x, mask=mask, labels=y).backward()
        optimizer.step()

    patched(tmp_path, "inputs:permute", run)
    (seen,) = model.seen
    assert torch.equal(seen["labels"], y)
    order = [int((row == x).all(1).nonzero()) for row in seen["x"]]
    assert sorted(order) == list(range(6)) != order
    assert torch.equal(seen["mask"], mask[order])


@pytest.mark.parametrize(("name", "moves"), [("targets", 0), ("truth", 1)])
def test_a_model_that_computes_its_loss_keeps_its_targets(tmp_path: Path, name: str, moves: int) -> None:
    """Under a usual name from the first step on; under another from the second, as the loss was seen by then."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(FEATURES, CLASSES)

        def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            seen.append((x.clone(), y.clone()))
            return F.cross_entropy(self.out(x), y.view(-1))

    exec(f"def forward(self, x, {name}): return self.loss(x, {name})", made := {})
    Net.forward = made["forward"]
    x, y = data(6)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def run() -> None:
        for _ in range(4):
            optimizer.zero_grad()
            net(x, y).backward()
            optimizer.step()

    patched(tmp_path, "inputs:permute", run)
    assert not any(torch.equal(a, x) for a, _ in seen)
    assert [torch.equal(b, y) for _, b in seen] == [False] * moves + [True] * (4 - moves)


def test_unknown_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inputs: zero, permute or standardize wanted, but got 'noise'"):
        patched(tmp_path, "inputs:noise", Loop())


def test_targets_permuted_and_shifted(tmp_path: Path) -> None:
    given = batches()
    seen = seen_batches(tmp_path, "targets:permute", Loop())
    assert all(torch.equal(a, x) for (x, _), (a, _) in zip(given, seen))
    assert all(torch.equal(b.sort().values, y.sort().values) for (_, y), (_, b) in zip(given, seen))
    assert not all(torch.equal(b, y) for (_, y), (_, b) in zip(given, seen))
    seen = seen_batches(tmp_path, "targets:shift-1", Loop(pairs=[(x, y + 1) for x, y in given]))
    assert all(torch.equal(b, y) for (_, y), (_, b) in zip(given, seen))


def test_targets_standardized(tmp_path: Path) -> None:
    loop = regression(lambda out, y: F.mse_loss(out.squeeze(1), y), scale=1000.0)
    patched(tmp_path, "targets:standardize", loop)
    assert max(loop.losses) < 20
    raw = regression(lambda out, y: F.mse_loss(out.squeeze(1), y), scale=1000.0)
    patched(tmp_path, "", raw)
    assert raw.losses[0] > 1e4


def test_another_loss(tmp_path: Path) -> None:
    control = Loop()
    control()
    for loss in (
        F.nll_loss,  # logits into a loss for log-probabilities
        lambda out, y: F.mse_loss(out, F.one_hot(y, CLASSES).float()),
        lambda out, y: nn.BCEWithLogitsLoss()(out, F.one_hot(y, CLASSES).float()),
    ):
        loop = Loop(loss=loss)
        done = patched(tmp_path, "loss:cross_entropy", loop)
        assert loop.losses == pytest.approx(control.losses, rel=1e-5)
        assert {s.function for s in done.run.loss_sites} <= {"nll_loss", "mse_loss", "binary_cross_entropy_with_logits"}
        errors = done.trained.series("error")
        if loss is F.nll_loss:
            assert list(errors) == pytest.approx(loop.losses, rel=1e-5)
        else:
            assert not len(errors), "the error that a training without the patch has is of another kind"


def test_a_single_output_behind_a_softmax_is_freed(tmp_path: Path) -> None:
    x, y = data(24)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 1), nn.Softmax(dim=1))
    pairs = list(zip(x.split(6), (y[:, None] > 0).float().split(6)))
    loop = Loop(model, nn.BCELoss(), pairs=pairs)
    torch.manual_seed(0)
    control = Loop(nn.Sequential(nn.Linear(FEATURES, 1)), nn.BCEWithLogitsLoss(), pairs=pairs)
    control()
    done = patched(tmp_path, "loss:bce_with_logits + drop-module:softmax", loop)
    assert loop.losses == pytest.approx(control.losses, rel=1e-5)
    assert list(done.trained.series("error")) == pytest.approx(control.losses, rel=1e-5)


def test_another_reduction(tmp_path: Path) -> None:
    control = Loop()
    control()
    for loss in (nn.CrossEntropyLoss(reduction="sum"), lambda out, y: F.cross_entropy(out, y, reduction="sum")):
        loop = Loop(loss=loss)
        patched(tmp_path, "loss:mean", loop)
        assert loop.losses == pytest.approx(control.losses, rel=1e-5)


def test_loaders_are_shuffled_in_training_and_not_in_evaluations(tmp_path: Path) -> None:
    x, y = torch.arange(20.0)[:, None], torch.arange(20)
    loader = DataLoader(TensorDataset(x, y), batch_size=6)
    passes: list[list[int]] = []

    def run() -> None:
        for grad in (True, True, False):
            with torch.set_grad_enabled(grad):
                pairs = list(loader)
            assert all(torch.equal(a[:, 0].long(), b) for a, b in pairs), "inputs and labels stay paired"
            passes.append([int(b) for _, pair in pairs for b in pair])
        numbers.append(float(torch.rand(())))
        Loop()()

    numbers: list[float] = []
    for patch in ("shuffle", ""):
        torch.manual_seed(1)
        done = patched(tmp_path, patch, run)
        assert done.applied == ({"shuffle": 2} if patch else {})
    first, second, evaluated, *control = passes
    assert sorted(first) == sorted(second) == evaluated == list(range(20))
    assert len({tuple(first), tuple(second), tuple(evaluated)}) == 3
    assert control == [evaluated] * 3
    assert numbers[0] == numbers[1], "the training draws the same numbers"


def test_a_loader_that_draws_by_chance_is_left_alone(tmp_path: Path) -> None:
    x, y = data(24)
    done = patched(tmp_path, "shuffle", Loop(pairs=DataLoader(TensorDataset(x, y), batch_size=6, shuffle=True)))
    assert "no place at which it could act" in done.trained.failure
