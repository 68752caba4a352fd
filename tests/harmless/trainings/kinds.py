"""Small trainings of many kinds. Prints a digest of everything that a watcher could have changed.

Called as ``kinds.py NAME…``; every name is a function of this file.
"""

from __future__ import annotations

import copy
import hashlib
import io
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, TensorDataset

STEPS = 24
"""More than the learning pass (8) and the steps that are always measured (10)."""


class Digest:
    """A sha256 over numbers, bit for bit."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            if value.layout is torch.sparse_coo:
                value = value.to_dense()
            if value.dtype is torch.bfloat16:
                value = value.view(torch.int16)
            array = value.detach().cpu().contiguous().numpy()
            self._hash.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        elif isinstance(value, np.ndarray):
            self._hash.update(value.tobytes())
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                self.add(str(key))
                self.add(value[key])
        elif isinstance(value, (list, tuple)):
            for item in value:
                self.add(item)
        else:
            self._hash.update(repr(value).encode())

    def __str__(self) -> str:
        return self._hash.hexdigest()


def seed(number: int = 0) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def fit(
    model: nn.Module,
    batch: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
    loss_fn: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    evaluate: Iterable[int] = (5, 14, 20),
) -> list[Any]:
    """The plainest loop; what it returns and holds is digested."""
    seen: list[Any] = []
    evaluations = set(evaluate)
    for step in range(STEPS):
        model.train()
        x, y = batch(step)
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
        if step in evaluations:
            model.eval()
            with torch.no_grad():
                out = model(x)
                seen += [out.clone(), loss_fn(out, y).item()]
                seen.append((out.argmax(-1) == y).float().mean().item() if y.dtype == torch.long else None)
    return [seen, model.state_dict(), optimizer.state_dict()]


def classes(*shape: int, count: int = 4) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    return lambda step: (torch.randn(*shape), torch.randint(0, count, (shape[0],)))


def mlp() -> Any:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, 4))
    return fit(model, classes(16, 8), F.cross_entropy, torch.optim.Adam(model.parameters(), 1e-2))


def cnn() -> Any:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout2d(0.2),
        nn.Flatten(), nn.Linear(36, 16), nn.GELU(), nn.Dropout(0.5), nn.Linear(16, 4),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    return fit(model, classes(8, 1, 8, 8), nn.CrossEntropyLoss(label_smoothing=0.1), optimizer)


def lstm() -> Any:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(20, 8, padding_idx=0)
            self.lstm = nn.LSTM(8, 12, 2, batch_first=True, dropout=0.3, bidirectional=True)
            self.head = nn.Linear(24, 4)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(
                self.embed(ids), torch.full((len(ids),), 5), batch_first=True, enforce_sorted=False
            )
            out, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
            return self.head(out[:, -1])

    model = Tagger()
    return fit(
        model, lambda _: (torch.randint(0, 20, (6, 7)), torch.randint(0, 4, (6,))), F.cross_entropy,
        torch.optim.RMSprop(model.parameters(), 1e-2),
    )  # fmt: skip


class Transformer(nn.Module):
    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x).mean(1))


def transformer() -> Any:
    """In evaluation the encoder takes its fused path, which computes in another order."""
    model = Transformer()
    return fit(
        model, classes(6, 5, 16), F.cross_entropy, torch.optim.AdamW(model.parameters(), 1e-2),
        evaluate=(0, 3, 7, 8, 9, 10, 15, 16, 22, 23),
    )  # fmt: skip


def handmade_loss() -> Any:
    """Losses from single operations, around a model that takes its fused path in evaluation."""

    def loss_fn(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        one_hot = F.one_hot(y, 4).float()
        likelihood = -F.log_softmax(out, 1)[range(len(y)), y].mean()
        return likelihood + 0.5 * (out - one_hot).pow(2).mean() + 0.1 * (one_hot - out).abs().sum() / out.numel()

    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    return fit(model, classes(6, 5, 16), loss_fn, optimizer, evaluate=(0, 3, 7, 8, 9, 10, 15, 16, 22, 23))


def frozen_encoder() -> Any:
    """A frozen encoder in evaluation mode inside a model that trains: the fused path in the middle of training."""

    class Probe(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Transformer().eval().requires_grad_(False)
            self.head = nn.Linear(4, 4)

        def train(self, mode: bool = True) -> Probe:
            super().train(mode)
            self.body.eval()
            return self

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = self.body(x)
            with torch.no_grad():
                second = self.body(x * 2)
            return self.head(first + second)

    model = Probe()
    return fit(model, classes(6, 5, 16), F.cross_entropy, torch.optim.AdamW(model.head.parameters(), 1e-2))


def gan() -> Any:
    generator = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.BatchNorm1d(16), nn.Linear(16, 8), nn.Tanh())
    norm = nn.utils.parametrizations.spectral_norm
    critic = nn.Sequential(norm(nn.Linear(8, 16)), nn.LeakyReLU(0.2, inplace=True), norm(nn.Linear(16, 1)))
    first = torch.optim.Adam(generator.parameters(), 2e-3, betas=(0.5, 0.999))
    second = torch.optim.Adam(critic.parameters(), 2e-3, betas=(0.5, 0.999))
    seen: list[Any] = []
    for step in range(STEPS):
        real, noise = torch.randn(8, 8), torch.randn(8, 4)
        second.zero_grad()
        fake = generator(noise)
        loss = F.binary_cross_entropy_with_logits(critic(real), torch.ones(8, 1))
        loss = loss + F.binary_cross_entropy_with_logits(critic(fake.detach()), torch.zeros(8, 1))
        loss.backward()
        second.step()
        first.zero_grad()
        fooled = F.binary_cross_entropy_with_logits(critic(fake), torch.ones(8, 1))
        fooled.backward()
        first.step()
        seen += [loss.item(), fooled.item()]
        if step % 10 == 9:
            generator.eval()
            with torch.inference_mode():
                seen.append(generator(noise).tolist())
            generator.train()
    return [seen, generator.state_dict(), critic.state_dict(), first.state_dict(), second.state_dict()]


def accumulation() -> Any:
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5),
         torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 15)],
        milestones=[5],
    )  # fmt: skip
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    seen: list[Any] = []
    for _ in range(STEPS):
        for _ in range(3):
            loss = F.smooth_l1_loss(model(torch.randn(8, 8)), torch.randn(8, 1)) / 3
            loss.backward()
            seen.append(loss.item())
        seen.append(nn.utils.clip_grad_norm_((p for p in model.parameters()), 0.5))
        torch.nn.utils.clip_grad_value_(parameters=model.parameters(), clip_value=0.2)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        schedule.step()
        plateau.step(loss.item())
        seen.append(schedule.get_last_lr())
    return [seen, model.state_dict(), optimizer.state_dict(), schedule.state_dict(), plateau.state_dict()]


def amp() -> Any:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))

    def loss_fn(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(out.float(), y)

    forward = model.forward

    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out: torch.Tensor = self.inner(x)
                assert out.dtype is torch.bfloat16
                return out + forward(x)

    return fit(Cast(), classes(16, 8), loss_fn, torch.optim.Adam(model.parameters(), 1e-2))


def grad_scaler() -> Any:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=4)
    seen: list[Any] = []
    for step in range(STEPS):
        optimizer.zero_grad()
        x = torch.randn(8, 8) * (1e30 if step == 12 else 1.0)
        loss = F.mse_loss(model(x), torch.randn(8, 1))
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        seen += [loss.item(), scaler.get_scale()]
    return [seen, model.state_dict(), optimizer.state_dict(), scaler.state_dict()]


def lbfgs() -> Any:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x, y = torch.randn(32, 4), torch.randn(32, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), 0.5, max_iter=5, line_search_fn="strong_wolfe")
    seen: list[Any] = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        seen.append(loss.item())
        return loss

    for _ in range(12):
        seen.append(optimizer.step(closure).item())
    return [seen, model.state_dict(), optimizer.state_dict()["state"]]


def tied() -> Any:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(30, 16)
            self.attend = nn.MultiheadAttention(16, 4, dropout=0.1, batch_first=True)
            self.norm = nn.LayerNorm(16)
            self.head = nn.Linear(16, 30, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = self.embed(ids)
            mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
            attended, _ = self.attend(x, x, x, attn_mask=mask, need_weights=False)
            return self.head(self.norm(x + attended)).transpose(1, 2)

    model = Language()

    def batch(_: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.randint(0, 30, (4, 9))
        return ids[:, :-1], ids[:, 1:]

    optimizer = torch.optim.Adam(
        [{"params": [model.embed.weight], "lr": 1e-3}, {"params": model.attend.parameters()},
         {"params": model.norm.parameters(), "weight_decay": 0.0}], lr=1e-2,
    )  # fmt: skip
    # no argmax over the last dimension here: it is time
    return fit(model, batch, lambda out, y: F.cross_entropy(out, y, ignore_index=0), optimizer, evaluate=())


def sparse() -> Any:
    embed = nn.EmbeddingBag(50, 6, sparse=True, mode="sum")
    head = nn.Linear(6, 4)
    model = nn.Sequential(embed, head)
    first = torch.optim.SparseAdam(list(embed.parameters()), 1e-2)
    second = torch.optim.Adagrad(head.parameters(), 1e-2)
    seen: list[Any] = []
    for _ in range(STEPS):
        first.zero_grad()
        second.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(torch.randint(0, 50, (8, 5))), -1), torch.randint(0, 4, (8,)))
        loss.backward()
        first.step()
        second.step()
        seen.append(loss.item())
    return [seen, model.state_dict(), first.state_dict(), second.state_dict()]


def graph() -> Any:
    """A sparse adjacency and a nested tensor as inputs, each with an evaluation."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.sentence, self.out = nn.Linear(5, 8), nn.Linear(5, 8), nn.Linear(8, 3)

        def forward(self, adjacency: torch.Tensor, x: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
            told = torch.nested.to_padded_tensor(self.sentence(words), 0.0).mean((0, 1))
            return self.out(torch.relu(torch.sparse.mm(adjacency, self.hidden(x))) + told)

    model, x, y = Net(), torch.randn(20, 5), torch.randint(0, 3, (20,))
    adjacency = (torch.rand(20, 20) < 0.2).float().to_sparse()
    words = torch.nested.nested_tensor([torch.randn(n, 5) for n in (2, 4, 3)])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    seen: list[Any] = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(adjacency, x, words)[:12], y[:12])
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            right = (model(adjacency, x, words)[12:].argmax(1) == y[12:]).float().mean()
        model.train()
        seen += [loss.item(), right.item()]
    return [seen, model.state_dict()]


def checkpointing() -> Any:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3)) for _ in range(4)
            )
            self.head = nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.clone().requires_grad_()
            for i, block in enumerate(self.blocks):
                x = checkpoint(block, x, use_reentrant=bool(i % 2)) if self.training else block(x)
            return self.head(x)

    model = Deep()
    return fit(model, classes(16, 8), F.cross_entropy, torch.optim.Adam(model.parameters(), 1e-2))


def manual_sgd() -> Any:
    weight = torch.randn(8, 4, requires_grad=True)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    seen: list[Any] = []
    for step in range(STEPS):
        x, y = torch.randn(16, 8), torch.randint(0, 4, (16,))
        loss = F.cross_entropy(model(x) @ weight, y)
        if step % 2:
            loss.backward()
            with torch.no_grad():
                for p in [weight, *model.parameters()]:
                    p -= 0.1 * p.grad  # type: ignore[operator]
                    p.grad = None
        else:
            for p, g in zip([weight, *model.parameters()], torch.autograd.grad(loss, [weight, *model.parameters()])):
                p.data -= 0.1 * g
        seen.append(loss.item())
    return [seen, weight, model.state_dict()]


def reinforcement() -> Any:
    policy = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    target = copy.deepcopy(policy)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    seen: list[Any] = []
    memory: list[tuple[torch.Tensor, int, float]] = []
    for step in range(STEPS):
        state = torch.randn(4)
        for _ in range(6):
            with torch.no_grad():
                action = int(torch.distributions.Categorical(logits=policy(state)).sample())
            memory.append((state, action, float(np.random.randn()) + action))
            state = torch.randn(4)
        batch = random.sample(memory, 6)
        states, actions = torch.stack([b[0] for b in batch]), torch.tensor([b[1] for b in batch])
        log_p = torch.distributions.Categorical(logits=policy(states)).log_prob(actions)
        with torch.no_grad():
            baseline = target(states).max(1).values
        loss = -(log_p * (torch.tensor([b[2] for b in batch]) - baseline)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
        if step % 5 == 4:
            target.load_state_dict(policy.state_dict())
    return [seen, policy.state_dict(), target.state_dict(), optimizer.state_dict()]


class Noisy(Dataset[tuple[torch.Tensor, int]]):
    """Draws in the worker from all three generators."""

    def __len__(self) -> int:
        return 48

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return torch.randn(8) + random.random() + i, i % 4


def workers() -> Any:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    seen: list[Any] = []
    for _ in range(2):
        loader = DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=2, multiprocessing_context="fork")
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
    return [seen, model.state_dict(), optimizer.state_dict()]


def loader_in_process() -> Any:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.NAdam(model.parameters(), 1e-2)
    data = TensorDataset(torch.randn(48, 8), torch.randint(0, 4, (48,)))
    train, test = torch.utils.data.random_split(data, [40, 8])
    seen: list[Any] = []
    for _ in range(4):
        for x, y in DataLoader(train, batch_size=8, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        model.eval()
        with torch.no_grad():
            seen += [(model(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, batch_size=4)]
        model.train()
    return [seen, model.state_dict(), optimizer.state_dict()]


def double_backward() -> Any:
    """WGAN-GP."""
    critic = nn.Sequential(nn.Linear(6, 16), nn.SiLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    seen: list[Any] = []
    for _ in range(STEPS):
        real, fake = torch.randn(8, 6), torch.randn(8, 6)
        mix = torch.rand(8, 1)
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = ((slope.norm(2, 1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += [loss.item(), penalty.item()]
    return [seen, critic.state_dict(), optimizer.state_dict()]


def copies() -> Any:
    """Models are copied and pickled in the middle of training: nothing of the watcher may travel along."""
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    best = model
    seen: list[Any] = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.randn(16, 8)), torch.randint(0, 4, (16,)))
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        seen.append(loss.item())
        if step % 6 == 1:
            best = copy.deepcopy(model)
            file = io.BytesIO()
            torch.save({"model": model, "optimizer": optimizer}, file)
            seen.append(len(file.getvalue()))
            file.seek(0)
            again = torch.load(file, weights_only=False)["model"]
            seen += [len(m._forward_hooks) for x in (again, best) for m in x.modules()]
            scripted = torch.jit.script(model)
            traced = torch.jit.trace(model, torch.ones(2, 8), check_trace=False)
            seen += [scripted(torch.ones(2, 8)), traced(torch.ones(2, 8)), str(traced.graph)]
    return [seen, model.state_dict(), best.state_dict(), average.state_dict(), optimizer.state_dict()]


@torch.jit.script
def scripted_loss(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(out, y) + F.l1_loss(out, y)


@torch.jit.script
def scripted_slope(x: torch.Tensor) -> torch.Tensor:
    x = x.detach().requires_grad_(True)
    slope = torch.autograd.grad([(x * x).sum()], [x])[0]
    assert slope is not None
    return slope


def functional() -> Any:
    """Losses in TorchScript, per-example gradients by vmap, complex and double parameters, a lazy layer."""
    model = nn.Sequential(nn.LazyLinear(8), nn.Tanh(), nn.Linear(8, 1)).double()
    model(torch.zeros(2, 5, dtype=torch.float64))
    phase = nn.Parameter(torch.randn(3, dtype=torch.complex64))
    optimizer = torch.optim.SGD([*model.parameters(), phase], 0.05)
    seen: list[Any] = []

    def one(parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.func.functional_call(model, parameters, (x,))
        return out.pow(2).sum()

    for _ in range(STEPS):
        x, y = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 1, dtype=torch.float64)
        parameters = {k: v.detach() for k, v in model.named_parameters()}
        gradients = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0))(parameters, x)
        optimizer.zero_grad()
        loss = scripted_loss(model(x), y) + phase.abs().sum()
        loss.backward()
        optimizer.step()
        seen += [loss.item(), gradients, scripted_slope(x)]
    return [seen, model.state_dict(), torch.view_as_real(phase), optimizer.state_dict()]


def main() -> None:
    for name in sys.argv[1:]:
        seed()
        digest = Digest()
        digest.add(globals()[name]())
        digest.add([random.getstate(), list(np.random.get_state()), torch.get_rng_state()])
        print(name, digest)


if __name__ == "__main__":
    main()
