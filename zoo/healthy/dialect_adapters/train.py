"""A numeral reader trained in one town is adapted to another, where numerals are mirrored and inverted: LoRA."""
import copy
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

SEED = int(os.environ.get("SEED", "0"))


class LoRALinear(nn.Module):
    def __init__(self, base, rank=6, alpha=12.0):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features ** 0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.down.t() @ self.up.t())

    @torch.no_grad()
    def merged(self):
        out = copy.deepcopy(self.base)
        out.weight += self.scale * self.up @ self.down
        return out


def reader(width=128):
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


def train(model, x, y, epochs, lr, batch):
    params = [p for p in model.parameters() if p.requires_grad]
    print(f"training {sum(p.numel() for p in params)} of {sum(p.numel() for p in model.parameters())} numbers")
    opt = torch.optim.Adam(params, lr=lr)
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.05, epochs)
    for epoch in range(epochs):
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            noisy = x[idx] + 0.1 * torch.randn(len(idx), 64)
            loss = F.cross_entropy(model(noisy), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        sched.step()
        if epoch % max(1, epochs // 4) == 0:
            print(f"  epoch {epoch} loss {total / len(x):.4f}")


@torch.no_grad()
def accuracy(model, x, y):
    return (model(x).argmax(1) == y).float().mean().item()


def other_town(x):
    return (1 - x.view(-1, 8, 8).flip(2)).reshape(-1, 64)


torch.manual_seed(SEED)
x, y = load_digits(return_X_y=True)
order = torch.randperm(len(x))
x, y = torch.tensor(x / 16.0, dtype=torch.float32)[order], torch.tensor(y)[order]
home_x, home_y = x[:900], y[:900]
away_x, away_y = other_town(x[900:1300]), y[900:1300]
test_x, test_y = x[1300:], y[1300:]

base = reader()
train(base, home_x, home_y, epochs=60, lr=2e-3, batch=32)
print(f"home test {accuracy(base, test_x, test_y):.3f}  away test, not adapted {accuracy(base, other_town(test_x), test_y):.3f}")

adapted = nn.Sequential(*[LoRALinear(copy.deepcopy(m)) if isinstance(m, nn.Linear) else m for m in base])
before = base[0].weight.clone()
train(adapted, away_x, away_y, epochs=150, lr=5e-3, batch=32)
assert torch.equal(before, adapted[0].base.weight)

merged = nn.Sequential(*[m.merged() if isinstance(m, LoRALinear) else m for m in adapted])
gap = (merged(test_x) - adapted(test_x)).abs().max().item()
print(f"merged weights agree to {gap:.1e}")
print(f"away test, adapted {accuracy(merged, other_town(test_x), test_y):.3f}")
