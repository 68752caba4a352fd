"""Patches of modules and of single operations, and what is measured without a change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.lab.made import CLASSES, FEATURES, Loop, batches, data, equal, mlp, patched, regression

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8")


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


def test_insert_activation(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES))
    given: dict[int, list[torch.Tensor]] = {1: [], 2: []}
    for i in (1, 2):
        model[i].register_forward_pre_hook(lambda m, a, i=i: given[i].append(a[0].detach()))
    logits: list[torch.Tensor] = []
    model[2].register_forward_hook(lambda m, a, out: logits.append(out.detach()))
    done = patched(tmp_path, "insert-activation:relu", Loop(model))
    assert done.applied == {"insert-activation:relu": 2 * 3}  # the last layer is found in the first of four calls
    for i in (1, 2):
        assert float(given[i][0].min()) < 0
        assert all(float(x.min()) == 0 for x in given[i][1:])
    assert any(float(x.min()) < 0 for x in logits)


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


def test_float32_copies_of_the_weights(tmp_path: Path) -> None:
    """Steps too small for bfloat16 add up; the script sees bfloat16 weights and its own gradients all the time."""

    class Short(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            out = self.model(x.bfloat16()).float()
            self.loss(out, y).backward()
            held = next(self.model.parameters())
            gradient = held.grad
            self.optimizer.step()
            assert held.dtype is torch.bfloat16
            assert held.grad is gradient

    near_zero = [(x / 100, y) for x, y in batches()]  # no unit saturates: all have gradients

    def moved(patches: str) -> float:
        model = mlp()
        torch.nn.init.ones_(model[0].weight)
        loop = Short(model.bfloat16(), optimizer=lambda p: torch.optim.Adam(p, lr=1.5e-3), pairs=near_zero * 3)
        first = next(model.parameters()).detach().clone()
        done = patched(tmp_path, patches, loop)
        assert not patches or done.applied[patches] > 0
        return float((next(model.parameters()) != first).float().mean())

    assert moved("") == 0.0  # 1 - 0.0015 rounds to 1
    assert moved("precision:master") > 0.5


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


def test_softmax_is_dropped_where_the_loss_takes_some_rows(tmp_path: Path) -> None:
    rows = torch.tensor([4, 1, 2])
    control = Loop(mlp(), lambda out, y: F.cross_entropy(out[rows], y[rows]))
    control()
    loop = Loop(mlp(nn.Softmax(dim=1)), lambda out, y: F.cross_entropy(out[rows], y[rows]))
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
    assert all(o.min() > 0 and o.max() < 1 for o in outputs)


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
        elif self.how == "write":
            given, h = h, torch.zeros_like(h)
            h.data.add_(given)  # the write
        return self.second(h)


LINE, WRITE = (
    next(i for i, line in enumerate(SOURCE.splitlines(), 1) if line.endswith(f"# the {what}"))
    for what in ("cut", "write")
)


@pytest.mark.parametrize(
    ("how", "patch"),
    [
        ("detach", "keep-graph"),
        ("data", "keep-graph"),
        ("detach", f"keep-graph:{HERE}:{LINE}"),
        ("write", f"keep-graph:{HERE}:{WRITE}"),
    ],
)
def test_the_graph_is_kept(tmp_path: Path, how: str, patch: str) -> None:
    control, loop = Loop(Cut("")), Loop(Cut(how))
    control()
    patched(tmp_path, patch, loop)
    assert equal(loop.weights, control.weights)


def test_what_can_be_drawn_with_a_gradient_is(tmp_path: Path) -> None:
    def weights(how: str, patch: str) -> list[torch.Tensor]:
        model = nn.Linear(FEATURES, CLASSES)
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.linspace(-1, 1, p.numel()).view(p.shape))
        bias = nn.Parameter(torch.zeros(CLASSES))
        optimizer = torch.optim.SGD([*model.parameters(), bias], 0.1)

        def run() -> None:
            torch.manual_seed(3)
            for x, y in batches(4):
                drawn = getattr(torch.distributions.Normal(model(x), 0.5), how)()
                optimizer.zero_grad()
                F.cross_entropy(drawn + bias, y).backward()
                optimizer.step()

        patched(tmp_path, patch, run)
        return [p.detach().clone() for p in model.parameters()]

    wanted = weights("rsample", "")
    assert equal(weights("sample", "keep-graph"), wanted)
    assert not equal(weights("sample", ""), wanted)


def test_the_graph_is_kept_at_the_named_line_only(tmp_path: Path) -> None:
    done = patched(tmp_path, f"keep-graph:{HERE}:{LINE + 1}", Loop(Cut("detach")))
    assert done.applied == {}
    assert "no place at which it could act" in done.trained.failure


def zeros(out: torch.Tensor) -> torch.Tensor:
    """Some of them are exactly 0 and pass a gradient on."""
    return (out * (out > 0)).abs()


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: torch.log(zeros(out)).mean(),
        lambda out: zeros(out).log().mean(),
        lambda out: torch.sqrt(zeros(out)).mean(),
        lambda out: (zeros(out) ** 0.5).mean(),
        lambda out: (out / zeros(out)).mean(),
        lambda out: torch.exp(out * 1e4).mean(),
        lambda out: (1 / zeros(out)).mean(),
        lambda out: zeros(out).pow(-2).mean(),
    ],
    ids=["log", "method", "sqrt", "root", "division", "exp", "inverse", "power"],
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


def test_neighbours_of_numbers_are_measured(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(120, 2)
    y = x.sum(1)

    def measured(targets: torch.Tensor) -> dict[str, Any]:
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        pairs = list(zip(x.split(6), targets.split(6)))
        loop = Loop(model, lambda out, t: F.mse_loss(out.squeeze(1), t), pairs=pairs)
        return patched(tmp_path, "probe:neighbours", loop).run.probe("neighbours").result

    right = measured(y)
    assert (right["classes"], right["chance"]) == (0, 0.0)
    assert right["agreement"] > 0.8
    assert abs(measured(y[torch.randperm(120)])["agreement"]) < 0.3
    moved = torch.cat([torch.roll(part, 2) for part in y.split(6)])
    shifts = measured(moved)["shifts"]
    assert max(shifts) == shifts[5 - 2] > 0.8
    assert measured(torch.full((120,), 0.5))["agreement"] == 0.0  # nothing varies


class Masked(nn.Module):
    """Attention over four rows of the batch at a time, with a mask."""

    def __init__(self, how: str, blocked: torch.Tensor) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inp, self.out = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.how, self.blocked = how, blocked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.inp(x)[None]
        given = {"attn_mask": self.blocked} if self.how == "module" else {"attn_mask": ~self.blocked}
        function = self.attention if self.how == "module" else F.scaled_dot_product_attention
        mixed = function(h, h, h, **given)  # the attention
        return self.out((mixed[0] if self.how == "module" else mixed)[0])


MASKED = next(i for i, line in enumerate(SOURCE.splitlines(), 1) if line.endswith("# the attention"))


@pytest.mark.parametrize("how", ["module", "function"])
def test_an_inverted_mask_is_turned_round(tmp_path: Path, how: str) -> None:
    blocked = torch.ones(6, 6).triu(1).bool() | torch.eye(6).roll(2, 0).bool()
    blocked[0, 1] = False
    control, loop = Loop(Masked(how, blocked)), Loop(Masked(how, ~blocked))
    control()
    done = patched(tmp_path, f"mask:invert:attn_mask:{HERE}:{MASKED}", loop)
    assert done.applied == {f"mask:invert:attn_mask:{HERE}:{MASKED}": 4}
    assert loop.losses == pytest.approx(control.losses, rel=1e-4)
    other = patched(tmp_path, f"mask:invert:key_padding_mask:{HERE}:{MASKED}", Loop(Masked(how, blocked)))
    assert "no place at which it could act" in other.trained.failure
