"""Region of an olive oil from its fatty acids. Rewritten from a Keras script (SGD with decay)."""
from dataclasses import dataclass
from typing import List, Tuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split


@dataclass
class Params:
    n_regions: int = 6
    n_acids: int = 10
    n_oils: int = 2600
    hidden: Tuple[int, ...] = (64, 64, 32)
    lr: float = 0.05
    momentum: float = 0.9
    decay: float = 0.1
    batch_size: int = 32
    epochs: int = 8
    seed: int = 11


def make_oils(p: Params) -> TensorDataset:
    centres = np.random.randn(p.n_regions, 2, p.n_acids) * 1.1   # two varieties per region
    region = np.random.randint(p.n_regions, size=p.n_oils)
    variety = np.random.randint(2, size=p.n_oils)
    x = centres[region, variety] + 0.8 * np.random.randn(p.n_oils, p.n_acids)
    x = (x - x.mean(0)) / x.std(0)
    return TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(region))


class Net(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        sizes: List[int] = [p.n_acids, *p.hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.head = nn.Linear(sizes[-1], p.n_regions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.hidden:
            x = F.relu(layer(x))
        return self.head(x)


def test(model: nn.Module, loader: DataLoader) -> Tuple[float, float]:
    model.eval()
    loss, correct, n = 0.0, 0, 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            loss += F.cross_entropy(out, y, reduction="sum").item()
            correct += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss / n, correct / n


def main() -> None:
    p = Params()
    np.random.seed(p.seed)
    torch.manual_seed(p.seed)
    oils = make_oils(p)
    train_set, test_set = random_split(oils, [2000, 600])
    train_loader = DataLoader(train_set, batch_size=p.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=200)
    model = Net(p)
    # sgd = SGD(lr=0.05, momentum=0.9, decay=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=p.lr, momentum=p.momentum)
    for epoch in range(p.epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        val_loss, val_acc = test(model, test_loader)
        print(f"epoch {epoch:2d}  val_loss {val_loss:.4f}  val_acc {val_acc:.4f}")
    print(f"Test accuracy: {val_acc:.4f}")


if __name__ == "__main__":
    main()
