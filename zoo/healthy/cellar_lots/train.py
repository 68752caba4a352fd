"""Which of three growers does a lot of wine come from? Small network, list of callbacks, no frills."""
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn


@dataclass
class State:
    model: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    losses: list[float] = field(default_factory=list)


Callback = Callable[[State], None]


def minibatches(x: Tensor, y: Tensor, size: int, rng: torch.Generator) -> Iterable[tuple[Tensor, Tensor]]:
    for rows in torch.randperm(len(x), generator=rng).split(size):
        yield x[rows], y[rows]


def fit(state: State, x: Tensor, y: Tensor, *, epochs: int, size: int, seed: int, callbacks: Iterable[Callback]) -> None:
    rng = torch.Generator().manual_seed(seed)
    for state.epoch in range(1, epochs + 1):
        state.model.train()
        state.losses.clear()
        for xb, yb in minibatches(x, y, size, rng):
            state.optimizer.zero_grad()
            loss = F.cross_entropy(state.model(xb), yb)
            loss.backward()
            state.optimizer.step()
            state.losses.append(loss.item())
        for callback in callbacks:
            callback(state)


@torch.no_grad()
def hits(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    return (model(x).argmax(dim=1) == y).double().mean().item()


def every(n: int, callback: Callback) -> Callback:
    return lambda state: callback(state) if state.epoch % n == 0 else None


def main() -> None:
    torch.manual_seed(31)
    features, grower = load_wine(return_X_y=True)
    x_fit, x_new, y_fit, y_new = train_test_split(features, grower, test_size=0.35, stratify=grower, random_state=31)
    scaler = StandardScaler().fit(x_fit)
    x_fit, x_new = (torch.from_numpy(scaler.transform(x)).float() for x in (x_fit, x_new))
    y_fit, y_new = torch.from_numpy(y_fit), torch.from_numpy(y_new)

    model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 3))
    state = State(model, torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01))

    def report(s: State) -> None:
        mean = sum(s.losses) / len(s.losses)
        print(f"epoch {s.epoch:3d}  loss {mean:.4f}  held-out accuracy {hits(s.model, x_new, y_new):.3f}")

    fit(state, x_fit, y_fit, epochs=20, size=16, seed=32, callbacks=[every(4, report)])


if __name__ == "__main__":
    main()
