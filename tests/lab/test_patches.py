"""Every patch does what it says, at the place that it names, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from flightcheck.adapters.torch.patching import INSTALLERS
from flightcheck.patch import KINDS, Patch
from tests.lab.made import CLASSES, FEATURES, Loop, batches, data, equal, mlp, patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8")


def test_every_kind_is_installed_and_tested() -> None:
    assert set(INSTALLERS) == set(KINDS)
    for kind in KINDS:
        assert f'"{kind}' in SOURCE.split("def test_every_kind")[1], f"{kind} has no test here"


def test_text_form() -> None:
    assert Patch.parse("lr:x0.1") == Patch("lr", "x0.1")
    assert str(Patch.parse(" zero-grad ")) == "zero-grad"
    assert str(Patch("mode", "eval")) == "mode:eval"
    with pytest.raises(ValueError, match="unknown patch 'speed'; known are lr, "):
        Patch.parse("speed:fast")


def test_without_a_patch_it_is_the_same_training(tmp_path: Path) -> None:
    plain, watched = Loop(mlp()), Loop(mlp())
    plain()
    patched(tmp_path, "", watched)
    assert watched.losses == plain.losses
    assert equal(watched.weights, plain.weights)


# -- the step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("patch", "factor"), [("lr:x0.1", 0.1), ("lr:0.5", 5.0)])
def test_the_learning_rate_is_another_in_each_step_and_afterwards_what_it_was(
    tmp_path: Path, patch: str, factor: float
) -> None:
    control, other = Loop(), Loop()
    patched(tmp_path, "", control)
    done = patched(tmp_path, patch, other)
    assert other.updates[0] == pytest.approx(factor * control.updates[0], rel=1e-4)
    assert other.optimizer.param_groups[0]["lr"] == 0.1
    assert done.applied == {patch: 4}


def test_schedulers_do_not_see_another_learning_rate(tmp_path: Path) -> None:
    def rates(patches: str) -> tuple[list[float], list[float]]:
        loop, seen = Loop(), []

        def run() -> None:
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(loop.optimizer, factor=0.5, patience=0)
            for x, y in loop.pairs:
                loop.step(x, y)
                schedule.step(1.0)
                seen.append(loop.optimizer.param_groups[0]["lr"])

        patched(tmp_path, patches, run)
        return seen, loop.updates

    control, before = rates("")
    other, after = rates("lr:x0.01")
    assert other == control == [0.1, 0.05, 0.025, 0.0125]
    assert after[0] == pytest.approx(0.01 * before[0], rel=1e-4)


def test_a_learning_rate_in_a_tensor_stays_one(tmp_path: Path) -> None:
    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=torch.tensor(0.1), foreach=False)

    loop = Loop(optimizer=optimizer)
    patched(tmp_path, "lr:x0.1", loop)
    assert loop.optimizer.param_groups[0]["lr"] == torch.tensor(0.1)
    control = Loop(optimizer=optimizer)
    control()
    assert loop.updates[0] == pytest.approx(0.1 * control.updates[0], rel=1e-3)


@pytest.mark.parametrize(
    ("patch", "kind"), [("optimizer:Adam(0.01)", torch.optim.Adam), ("optimizer:SGD(0.3)", torch.optim.SGD)]
)
def test_another_optimizer_steps(tmp_path: Path, patch: str, kind: Any) -> None:
    rate = float(patch.split("(")[1][:-1])
    wanted = Loop(optimizer=lambda p: kind(p, lr=rate))
    wanted()
    loop = Loop(optimizer=lambda p: torch.optim.SGD(p, lr=7.0, momentum=0.9, weight_decay=0.1))
    done = patched(tmp_path, patch, loop)
    assert equal(loop.weights, wanted.weights)
    assert loop.gradients[-1] is not None, "the script finds its gradients where it left them"
    assert done.run.info.steps == 4, "a step is counted once"
    assert [o.type for o in done.run.optimizers] == ["SGD"], "ours is not taken for the script's"


@pytest.mark.parametrize("value", ["Adam", "Lion(0.1)", "Adam(x)", ""])
def test_an_unknown_optimizer_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="optimizer: a name and a learning rate wanted"):
        patched(tmp_path, f"optimizer:{value}", Loop())


def test_no_schedule(tmp_path: Path) -> None:
    def updates(patches: str, factors: list[float]) -> list[float]:
        loop = Loop(loss=lambda out, y: out.sum())

        def run() -> None:
            schedule = torch.optim.lr_scheduler.LambdaLR(loop.optimizer, lambda i: factors[min(i, 3)])
            for _ in loop.pairs:
                loop.optimizer.zero_grad()
                (sum(p.sum() for p in loop.model.parameters())).backward()
                before = loop.weights[0]
                loop.optimizer.step()
                loop.updates.append(float((loop.weights[0] - before).abs().max()))
                schedule.step()

        patched(tmp_path, patches, run)
        return loop.updates

    assert updates("", [1.0, 0.5, 0.1, 0.0]) == pytest.approx([0.1, 0.05, 0.01, 0.0], abs=1e-6)
    assert updates("scheduler:off", [1.0, 0.5, 0.1, 0.0]) == pytest.approx([0.1] * 4, abs=1e-6)
    # A warm-up: the rate for which it was written
    assert updates("scheduler:off", [0.0, 0.5, 1.0, 1.0]) == pytest.approx([0.0, 0.1, 0.1, 0.1], abs=1e-6)


def test_clipping(tmp_path: Path) -> None:
    loop = Loop()
    patched(tmp_path, "clip:0.001", loop)
    assert max(loop.updates) <= 0.1 * 0.001 * 1.01
    control = Loop()
    control()
    assert min(control.updates) > 0.01


@pytest.mark.parametrize(
    "clip",
    [
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1e-6),
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), max_norm=1e-6, norm_type=2),
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1e-6, 1.0, error_if_nonfinite=True),
        lambda m: nn.utils.clip_grad_value_(m.parameters(), 1e-6),
    ],
)
def test_no_clipping(tmp_path: Path, clip: Any) -> None:
    class Clipped(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            self.loss(self.model(x), y).backward()
            clip(self.model)
            self.optimizer.step()

    control, loop = Loop(), Clipped()
    control()
    patched(tmp_path, "clip:off", loop)
    assert equal(loop.weights, control.weights)


def test_gradients_are_cleared(tmp_path: Path) -> None:
    class Accumulating(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.loss(self.model(x), y).backward()
            self.optimizer.step()

    control, loop = Loop(), Accumulating()
    control()
    patched(tmp_path, "zero-grad", loop)
    assert equal(loop.weights, control.weights)


def test_parameters_that_no_optimizer_holds_are_added(tmp_path: Path) -> None:
    loop = Loop(parameters=lambda m: m[2].parameters())
    done = patched(tmp_path, "add-parameters", loop)
    control = Loop()
    control()
    assert done.applied == {"add-parameters": 1}
    assert equal(loop.weights, control.weights)


def test_parameters_of_another_optimizer_and_frozen_ones_are_not_added(tmp_path: Path) -> None:
    model = mlp()
    model[0].weight.requires_grad_(False)
    other = torch.optim.SGD([model[0].bias], lr=0.1)
    loop = Loop(model, parameters=lambda m: m[2].parameters())

    def run() -> None:
        for x, y in loop.pairs:
            loop.step(x, y)
            other.step()
            other.zero_grad()

    done = patched(tmp_path, "add-parameters", run)
    assert len(loop.optimizer.param_groups) == 1
    assert "no place at which it could act" in done.trained.failure


def test_the_limit_of_clipping_counts_for_unscaled_gradients(tmp_path: Path) -> None:
    class Scaled(Loop):
        def __init__(self) -> None:
            super().__init__()
            self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            before = self.weights[0]
            self.scaler.scale(self.loss(self.model(x), y)).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.01)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.updates.append(float((self.weights[0] - before).norm()))

    wrong, right = Scaled(), Scaled()
    patched(tmp_path, "", wrong)
    done = patched(tmp_path, "unscale-first", right)
    assert done.applied["unscale-first"] == 4
    assert right.updates[0] == pytest.approx(1024 * wrong.updates[0], rel=1e-3)


# -- batches ---------------------------------------------------------------------------------------------------------


def seen_batches(tmp_path: Path, patches: str, loop: Loop) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What model and loss were given."""
    given: list[Any] = []
    loss = loop.loss
    loop.model.register_forward_pre_hook(lambda m, args: given.append(args[0].clone()))

    def noting(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss(out, y)

    inner = F.cross_entropy

    def cross_entropy(out: torch.Tensor, y: torch.Tensor, **options: Any) -> torch.Tensor:
        given.append(y.clone())
        return inner(out, y, **options)

    loop.loss = noting
    with pytest.MonkeyPatch.context() as patch:  # below the patches, as the framework itself is
        patch.setattr(F, "cross_entropy", cross_entropy)
        loop.loss = lambda out, y: F.cross_entropy(out, y)
        patched(tmp_path, patches, loop)
    return list(zip(given[::2], given[1::2], strict=True))


@pytest.mark.parametrize("loader", [True, False], ids=["loader", "by hand"])
def test_a_frozen_batch_is_tiled_and_keeps_its_labels(tmp_path: Path, loader: bool) -> None:
    x, y = data(20)
    pairs: Any = DataLoader(TensorDataset(x, y), batch_size=6) if loader else list(zip(x.split(6), y.split(6)))
    seen = seen_batches(tmp_path, "freeze-batch:4", Loop(pairs=pairs))
    assert [len(a) for a, _ in seen] == [6, 6, 6, 2], "as long as the script expects"
    for a, b in seen:
        rows = torch.arange(len(a)) % 4
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
    x, y = data(12)
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
    (given,) = {id(p): p for p in [batches()]}.values()
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


def test_unknown_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inputs: zero, permute or standardize wanted, but got 'noise'"):
        patched(tmp_path, "inputs:noise", Loop())


# -- the loss --------------------------------------------------------------------------------------------------------


def test_targets_permuted_and_shifted(tmp_path: Path) -> None:
    given = batches()
    seen = seen_batches(tmp_path, "targets:permute", Loop())
    assert all(torch.equal(a, x) for (x, _), (a, _) in zip(given, seen))
    assert all(torch.equal(b.sort().values, y.sort().values) for (_, y), (_, b) in zip(given, seen))
    assert not all(torch.equal(b, y) for (_, y), (_, b) in zip(given, seen))
    seen = seen_batches(tmp_path, "targets:shift-1", Loop(pairs=[(x, y + 1) for x, y in given]))
    assert all(torch.equal(b, y) for (_, y), (_, b) in zip(given, seen))


def regression(loss: Any, last: list[nn.Module] | None = None, scale: float = 1.0) -> Loop:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 1), *(last or []))
    x, _ = data(24)
    y = (x.sum(1) / 10) * scale
    return Loop(model, loss, lambda p: torch.optim.SGD(p, lr=0.01), list(zip(x.split(6), y.split(6))))


def test_targets_standardized(tmp_path: Path) -> None:
    loop = regression(lambda out, y: F.mse_loss(out.squeeze(1), y), scale=1000.0)
    patched(tmp_path, "targets:standardize", loop)
    assert max(loop.losses) < 20
    raw = regression(lambda out, y: F.mse_loss(out.squeeze(1), y), scale=1000.0)
    patched(tmp_path, "", raw)
    assert raw.losses[0] > 1e4


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (nn.Softmax(dim=1), F.cross_entropy),
        (None, lambda out, y: F.cross_entropy(F.softmax(out, dim=1), y)),
        (None, lambda out, y: nn.CrossEntropyLoss()(torch.softmax(out, -1).unsqueeze(0).squeeze(), y)),
        (None, lambda out, y: F.cross_entropy(out.softmax(1), y)),
        (None, lambda out, y: F.cross_entropy(input=torch.softmax(out, 1), target=y)),
        (nn.Sequential(nn.Softmax(dim=1), nn.Dropout(0.0)), F.cross_entropy),
    ],
    ids=["module", "functional", "squeezed", "method", "by name", "dropout between"],
)
def test_softmax_is_dropped(tmp_path: Path, last: nn.Module | None, loss: Any) -> None:
    control = Loop(mlp())
    control()
    loop = Loop(mlp(*([last] if last else [])), loss)
    patched(tmp_path, "drop-module:softmax", loop)
    assert loop.losses == pytest.approx(control.losses, rel=1e-5)


def test_sigmoid_is_dropped(tmp_path: Path) -> None:
    def loop(loss: Any, last: list[nn.Module] | None = None) -> Loop:
        made = regression(loss, last)
        made.pairs = [(x, (y > 0.5).float()) for x, y in made.pairs]
        return made

    bce = F.binary_cross_entropy_with_logits
    control = loop(lambda out, y: bce(out.squeeze(1), y))
    control()
    doubled = loop(lambda out, y: bce(out.squeeze(1), y), [nn.Sigmoid()])
    patched(tmp_path, "drop-module:sigmoid", doubled)
    assert doubled.losses == pytest.approx(control.losses, rel=1e-5)


def test_an_inner_softmax_is_not_dropped(tmp_path: Path) -> None:
    """Attention, gates: only what goes straight into the loss counts."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Softmax(dim=1), nn.Linear(8, CLASSES))
    done = patched(tmp_path, "drop-module:softmax", Loop(model))
    assert done.applied == {}


def test_saturating_activations_are_swapped_and_the_outputs_own_stays(tmp_path: Path) -> None:
    def model() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(FEATURES, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid()
        )

    x, _ = data(6)
    seen: list[torch.Tensor] = []
    net = model()
    net[1].register_forward_hook(lambda m, a, out: seen.append(out.detach()))
    net[3].register_forward_hook(lambda m, a, out: seen.append(out.detach()))
    outputs: list[torch.Tensor] = []
    net.register_forward_hook(lambda m, a, out: outputs.append(out.detach()))

    def loss(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy(out.squeeze(1), (y > 0).float())

    done = patched(tmp_path, "swap-activation:relu", Loop(net, loss))
    assert done.applied == {"swap-activation:relu": 2 * 3}, "the first call tells which one is the output's"
    assert 0 < seen[0].max() <= 1
    assert seen[2].max() > 1
    assert (seen[2] == 0).any()
    assert all(0 < float(o.min()) and float(o.max()) < 1 for o in outputs)


@pytest.mark.parametrize(
    "loss",
    [
        lambda out, y: F.mse_loss(out, y),
        lambda out, y: nn.MSELoss()(out, y),
        lambda out, y: ((out - y) ** 2).mean(),
        lambda out, y: ((y - out) ** 2).mean(),
        lambda out, y: torch.square(torch.sub(out, y)).mean(),
        lambda out, y: (out - y).pow(2).mean(),
    ],
    ids=["mse_loss", "MSELoss", "minus", "reversed", "torch.sub", "pow"],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_shapes_are_aligned(tmp_path: Path, loss: Any) -> None:
    control = regression(lambda out, y: F.mse_loss(out.squeeze(1), y))
    control()
    loop = regression(loss)
    done = patched(tmp_path, "align-shapes", loop)
    assert loop.losses == pytest.approx(control.losses, rel=1e-5)
    assert done.applied


def test_broadcasting_that_is_meant_stays(tmp_path: Path) -> None:
    loop = regression(lambda out, y: ((out.squeeze(1) - y) * torch.tensor(2.0)).square().mean() + 0 * out.mean(0).sum())
    assert patched(tmp_path, "align-shapes", loop).applied == {}


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


def test_another_reduction(tmp_path: Path) -> None:
    control = Loop()
    control()
    for loss in (nn.CrossEntropyLoss(reduction="sum"), lambda out, y: F.cross_entropy(out, y, reduction="sum")):
        loop = Loop(loss=loss)
        patched(tmp_path, "loss:mean", loop)
        assert loop.losses == pytest.approx(control.losses, rel=1e-5)


# -- modules ---------------------------------------------------------------------------------------------------------


def test_no_regularization(tmp_path: Path) -> None:
    def loop(p: float, decay: float, smoothing: float) -> Loop:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Dropout(p), nn.Linear(8, CLASSES))
        return Loop(
            model,
            nn.CrossEntropyLoss(label_smoothing=smoothing),
            lambda q: torch.optim.SGD(q, lr=0.1, weight_decay=decay),
        )

    control = loop(0.0, 0.0, 0.0)
    control()
    other = loop(0.5, 0.3, 0.2)
    patched(tmp_path, "regularization:off", other)
    assert other.losses == pytest.approx(control.losses, rel=1e-5)
    assert other.optimizer.param_groups[0]["weight_decay"] == 0.3
    one = loop(0.5, 0.3, 0.2)
    done = patched(tmp_path, "regularization:dropout", one)
    assert done.applied == {"regularization:dropout": 4}


@pytest.mark.parametrize("how", ["default", "xavier", "kaiming"])
def test_weights_are_drawn_anew_and_the_trainings_random_numbers_stay(tmp_path: Path, how: str) -> None:
    def run(patches: str) -> tuple[list[float], torch.Tensor, float]:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, CLASSES))
        nn.init.zeros_(model[3].weight)
        embedding, drawn, first = model[0].weight.detach().clone(), [], []
        model[3].register_forward_hook(lambda m, a, out: first.append(float(m.weight.detach().std())))

        def loop() -> None:
            optimizer = torch.optim.SGD(model[3].parameters(), lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                F.cross_entropy(model(torch.randint(0, 9, (6, 2))), torch.randint(0, CLASSES, (6,))).backward()
                optimizer.step()
                drawn.append(float(torch.rand(())))

        patched(tmp_path, patches, loop)
        assert torch.equal(embedding, model[0].weight) == (how != "none")
        return drawn, torch.initial_seed(), first[0]

    control, seed, before = run("")
    drawn, seed_after, after = run(f"reinit:{how}")
    assert before == 0.0
    assert 0.1 < after < 1.0
    assert (drawn, seed_after) == (control, seed)


def test_hidden_layers_are_normalized(tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES)
    )
    outputs: dict[int, list[torch.Tensor]] = {0: [], 4: [], 5: []}
    for i in (1, 4):
        model[i].register_forward_pre_hook(lambda m, a, i=i: outputs[{1: 0, 4: 4}[i]].append(a[0].detach()))
    model[5].register_forward_hook(lambda m, a, out: outputs[5].append(out.detach()))
    pairs = [(x.unsqueeze(1), y) for x, y in batches()]
    done = patched(tmp_path, "insert-norm:layer", Loop(model, pairs=pairs))
    assert done.applied == {"insert-norm:layer": 2 * 3}
    for i in (0, 4):
        flat = outputs[i][1].flatten(1)
        assert flat.mean(1).abs().max() < 1e-5
        assert (flat.std(1, correction=0) - 1).abs().max() < 0.02
    assert outputs[5][1].mean(1).abs().max() > 1e-3


def test_mode(tmp_path: Path) -> None:
    x, _ = data(6)

    def run(patches: str, training: bool) -> tuple[list[bool], list[bool]]:
        model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Dropout(0.5), nn.Linear(8, CLASSES))
        model.train(training)
        steps, evaluations = [], []
        model[1].register_forward_pre_hook(
            lambda m, a: (steps if torch.is_grad_enabled() else evaluations).append(m.training)
        )
        loop = Loop(model)

        def both() -> None:
            loop()
            with torch.no_grad():
                model(x)
            assert model.training is training, "what the script set stays"
            assert model[1].training is training

        patched(tmp_path, patches, both)
        return steps, evaluations

    assert run("", True) == ([True] * 4, [True])
    assert run("mode:eval", True) == ([True] * 4, [False])
    assert run("mode:train", False) == ([True] * 4, [False])
    assert run("mode:train", True) == ([True] * 4, [True])


def test_single_precision(tmp_path: Path) -> None:
    dtypes: list[torch.dtype] = []

    class Mixed(Loop):
        def __call__(self) -> None:
            self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
            super().__call__()

        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = self.model(x)
                loss = self.loss(out, y)
            dtypes.append(out.dtype)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()

    control, mixed, single = Loop(), Mixed(), Mixed()
    control()
    patched(tmp_path, "", mixed)
    patched(tmp_path, "precision:float32", single)
    assert dtypes == [torch.bfloat16] * 4 + [torch.float32] * 4
    assert equal(single.weights, control.weights)


# -- operations ------------------------------------------------------------------------------------------------------


class Cut(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.how = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES), how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        if self.how == "detach":
            h = h.detach()  # the cut
        elif self.how == "data":
            h = h.data
        return self.second(h)


LINE = next(i for i, line in enumerate(SOURCE.splitlines(), 1) if line.endswith("# the cut"))


@pytest.mark.parametrize(
    ("how", "patch"), [("detach", "keep-graph"), ("data", "keep-graph"), ("detach", f"keep-graph:{HERE}:{LINE}")]
)
def test_the_graph_is_kept(tmp_path: Path, how: str, patch: str) -> None:
    control, loop = Loop(Cut("")), Loop(Cut(how))
    control()
    patched(tmp_path, patch, loop)
    assert equal(loop.weights, control.weights)


def test_the_graph_is_kept_at_the_named_line_only(tmp_path: Path) -> None:
    done = patched(tmp_path, f"keep-graph:{HERE}:{LINE + 1}", Loop(Cut("detach")))
    assert done.applied == {}
    assert "no place at which it could act" in done.trained.failure


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: torch.log(F.relu(out)).mean(),
        lambda out: F.relu(out).log().mean(),
        lambda out: torch.sqrt(F.relu(out)).mean(),
        lambda out: (out / F.relu(out)).mean(),
        lambda out: torch.exp(out * 1e4).mean(),
        lambda out: (1 / F.relu(out)).mean(),
    ],
    ids=["log", "method", "sqrt", "division", "exp", "reciprocal"],
)
def test_values_keep_away_from_zero(tmp_path: Path, loss: Any) -> None:
    def made() -> Loop:
        return Loop(loss=lambda out, y: loss(out), optimizer=lambda p: torch.optim.SGD(p, lr=1e-12))

    broken, cured = made(), made()
    broken()
    done = patched(tmp_path, "clamp:1e-8", cured)
    assert done.applied
    gradients = [bool(g.isfinite().all()) for g in broken.gradients if g is not None]
    assert not all(gradients)
    assert all(bool(g.isfinite().all()) for g in cured.gradients if g is not None)


def test_neighbours_are_measured(tmp_path: Path) -> None:
    torch.manual_seed(0)
    centers = 10 * torch.eye(CLASSES, FEATURES)
    y = torch.randint(0, CLASSES, (120,))
    x = centers[y] + torch.randn(120, FEATURES)

    def measured(labels: torch.Tensor) -> dict[str, Any]:
        pairs = list(zip(x.split(6), labels.split(6))) * 2  # two epochs: an example counts once
        control, loop = Loop(pairs=pairs), Loop(pairs=pairs)
        control()
        done = patched(tmp_path, "probe:neighbours", loop)
        assert equal(loop.weights, control.weights), "nothing is changed"
        return done.run.probe("neighbours").result

    right = measured(y)
    assert (right["examples"], right["classes"]) == (120, CLASSES)
    assert right["agreement"] > 0.95
    assert right["chance"] == pytest.approx(1 / 3, abs=0.05)
    assert max(right["shifts"]) == right["shifts"][5]
    shuffled = measured(y[torch.randperm(120)])
    assert abs(shuffled["hits"] / 120 - shuffled["chance"]) < 0.15
    moved = torch.cat([torch.roll(part, 2) for part in y.split(6)])
    shifted = measured(moved)
    assert max(shifted["shifts"]) == shifted["shifts"][5 - 2] > 0.95


# -- no boundary -----------------------------------------------------------------------------------------------------

NOWHERE = {
    "drop-module:softmax": "no softmax before the loss",
    "swap-activation:relu": "no saturating activation",
    "align-shapes": "all shapes agree",
    "loss:cross_entropy": "it is one already",
    "keep-graph": "nothing is cut",
    "regularization:off": "there is none",
    "clip:off": "no clipping",
    "precision:float32": "no mixed precision",
    "mode:eval": "no evaluation",
    "mode:train": "it trains in training mode",
    "add-parameters": "all are held",
    "unscale-first": "nothing is scaled",
    "targets:standardize": "no regression",
    "clamp:1e-8": "no logarithm, root or division",
}


@pytest.mark.parametrize("patch", NOWHERE)
def test_a_patch_without_a_place_says_so(tmp_path: Path, patch: str) -> None:
    model = mlp(activation=nn.ReLU)
    plain, loop = Loop(mlp(activation=nn.ReLU)), Loop(model)
    plain()
    done = patched(tmp_path, patch, loop)
    assert done.trained.failure == f"{patch}: this training has no place at which it could act"
    assert loop.losses == plain.losses
