"""A reader of right-handed numerals adapted, by LoRA of rank 6, to left-handed (mirrored, slanted) ones.

B starts at zero, so on the first step A's gradient is exactly zero, as in the paper; base weights
never change.  At the end the update is merged into the base and checked to be the same function.
"""
import math
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
raw = load_digits()
a, b, ya, yb = train_test_split(raw.data, raw.target, test_size=0.35, random_state=seed, stratify=raw.target)


def right_handed(x):
    return torch.tensor(x, dtype=torch.float32).view(-1, 8, 8).div(16).sub(0.3)


def left_handed(x):
    x = right_handed(x).flip(2)
    rows = [torch.roll(x[:, r], (r - 4) // 3, 1) for r in range(8)]
    return torch.stack(rows, 1)


tr_y, te_y = torch.tensor(ya), torch.tensor(yb)
R = (right_handed(a).flatten(1), right_handed(b).flatten(1))
Lh = (left_handed(a).flatten(1), left_handed(b).flatten(1))


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, r=6, alpha=12):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.empty(r, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scale = alpha / r

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)

    @torch.no_grad()
    def merge(self):
        out = nn.Linear(self.base.in_features, self.base.out_features)
        out.weight.copy_(self.base.weight + self.scale * self.B @ self.A)
        out.bias.copy_(self.base.bias)
        return out


reader = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


@torch.no_grad()
def acc(net, x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


def fit(net, params, x, y, epochs, lr, tag):
    opt = torch.optim.AdamW(params, lr=lr, weight_decay=0.01)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda e: 1 - e / epochs)
    for e in range(epochs):
        net.train()
        tot = n = 0
        for i in torch.randperm(len(x)).split(48):
            loss = F.cross_entropy(net(x[i]), y[i])
            opt.zero_grad(); loss.backward(); opt.step()
            tot, n = tot + loss.item(), n + 1
        sched.step()
        if e % 15 == 14:
            print(f"{tag} epoch {e + 1} loss {tot / n:.4f}")


fit(reader, reader.parameters(), R[0], tr_y, 30, 2e-3, "base")
print(f"base: right-handed {acc(reader, R[1], te_y):.3f}, left-handed {acc(reader, Lh[1], te_y):.3f}")

before = {k: v.clone() for k, v in reader.state_dict().items()}
for i in (0, 3, 5):
    reader[i] = LoRALinear(reader[i])
small = [p for p in reader.parameters() if p.requires_grad]
print(f"{sum(p.numel() for p in small)} of {sum(p.numel() for p in reader.parameters())} numbers are trained")
fit(reader, small, Lh[0], tr_y, 60, 4e-3, "lora")
for i in (0, 3, 5):
    assert torch.equal(reader[i].base.weight, before[f"{i}.weight"])

reader.eval()
merged = nn.Sequential(*[m.merge() if isinstance(m, LoRALinear) else m for m in reader])
with torch.no_grad():
    gap = (merged(Lh[1]) - reader(Lh[1])).abs().max().item()
print(f"largest difference after merging {gap:.1e}")
print(f"left-handed test accuracy {acc(merged, Lh[1], te_y):.3f}")
