"""Disease progression one year on from ten baseline measurements, with a validation split to stop at."""
from typing import Callable

import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn


def splits() -> list[tuple[torch.Tensor, torch.Tensor]]:
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_fit, x_test, y_fit, y_test = train_test_split(x, y, test_size=120, random_state=2)
    x_fit, x_val, y_fit, y_val = train_test_split(x_fit, y_fit, test_size=90, random_state=2)
    sx, sy = StandardScaler().fit(x_fit), StandardScaler().fit(y_fit[:, None])
    return [
        (torch.tensor(sx.transform(a), dtype=torch.float32), torch.tensor(sy.transform(b[:, None]), dtype=torch.float32))
        for a, b in ((x_fit, y_fit), (x_val, y_val), (x_test, y_test))
    ]


def r2(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        rest = (model(x) - y).pow(2).sum()
    return 1 - (rest / (y - y.mean()).pow(2).sum()).item()


def fit(model: nn.Module, step: Callable[[], float], val: tuple[torch.Tensor, torch.Tensor], epochs: int) -> int:
    """Train for all epochs; the model ends with the weights of the best one."""
    best_r2, best_epoch, best_weights = float("-inf"), 0, {}
    for epoch in range(1, epochs + 1):
        loss = step()
        score = r2(model, *val)
        if score > best_r2:
            best_r2, best_epoch = score, epoch
            best_weights = model.state_dict()
        if epoch % 20 == 0:
            print(f"epoch {epoch} train mse {loss:.4f} val r2 {score:.4f}")
    model.load_state_dict(best_weights)
    return best_epoch


def main() -> None:
    torch.manual_seed(23)
    train, val, test = splits()
    model = nn.Sequential(nn.Linear(10, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 1))
    opt = torch.optim.Adam(model.parameters(), lr=5e-4)

    def one_epoch() -> float:
        model.train()
        total = 0.0
        for rows in torch.randperm(len(train[0])).split(16):
            opt.zero_grad()
            loss = nn.functional.mse_loss(model(train[0][rows]), train[1][rows])
            loss.backward()
            opt.step()
            total += loss.item() * len(rows)
        return total / len(train[0])

    best = fit(model, one_epoch, val, epochs=80)
    print(f"kept epoch {best}, test r2 {r2(model, *test):.4f}")


if __name__ == "__main__":
    main()
