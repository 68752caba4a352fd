"""A reader of ledger digits is adapted to mirrored negatives by low-rank additions alone."""
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)


class LoRALinear(nn.Module):
    def __init__(self, base, rank=6, alpha=12.0):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features ** 0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.a.T) @ self.b.T

    @torch.no_grad()
    def merged(self):
        out = nn.Linear(self.base.in_features, self.base.out_features)
        out.weight.copy_(self.base.weight + self.scale * self.b @ self.a)
        out.bias.copy_(self.base.bias)
        return out


def epoch_of(model, opt, x, y, batch):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(x)).split(batch):
        opt.zero_grad()
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    return total / len(x)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


digits, labels = load_digits(return_X_y=True)
digits = torch.tensor(digits, dtype=torch.float32) / 8 - 1
labels = torch.tensor(labels)
order = torch.randperm(len(labels))
base_idx, adapt_idx, test_idx = order[:800], order[800:1350], order[1350:]


def mirrored_negative(x):
    return -x.view(-1, 8, 8).flip(2).reshape(-1, 64)


model = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 10))
opt = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
for epoch in range(50):
    loss = epoch_of(model, opt, digits[base_idx], labels[base_idx], 32)
print(f"base: loss {loss:.4f}, ledger digits {accuracy(model, digits[test_idx], labels[test_idx]):.3f}")

x_new, y_new = mirrored_negative(digits[adapt_idx]), labels[adapt_idx]
x_test, y_test = mirrored_negative(digits[test_idx]), labels[test_idx]
before = accuracy(model, x_test, y_test)

adapted = nn.Sequential(*[LoRALinear(m) if isinstance(m, nn.Linear) else m for m in model])
trained = [p for p in adapted.parameters() if p.requires_grad]
n_trained, n_all = sum(p.numel() for p in trained), sum(p.numel() for p in adapted.parameters())
print(f"{n_trained} of {n_all} parameters are trained")
opt = torch.optim.AdamW(trained, lr=4e-3, weight_decay=0.0)
epochs = 80
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
for epoch in range(epochs):
    loss = epoch_of(adapted, opt, x_new, y_new, 32)
    sched.step()
    if epoch % 20 == 19:
        print(f"adapting, epoch {epoch + 1}: loss {loss:.4f}")

after = accuracy(adapted, x_test, y_test)
merged = nn.Sequential(*[m.merged() if isinstance(m, LoRALinear) else m for m in adapted])
with torch.no_grad():
    gap = (merged(x_test) - adapted(x_test)).abs().max().item()
print(f"mirrored negatives: before {before:.3f}, after {after:.3f}; merged weights differ by at most {gap:.1e}")
