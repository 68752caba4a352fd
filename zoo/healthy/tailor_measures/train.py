"""A tailor takes some of ten measures, forgets others; predict the four that cut the coat."""
import os

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)


def customers(n):
    frame = torch.randn(n, 3)                                # height, girth, posture
    g = torch.Generator().manual_seed(42)
    a = torch.randn(3, 10, generator=g)
    b = torch.randn(3, 4, generator=g)
    measures = torch.tanh(frame @ a * 0.5) * 2 + 0.15 * torch.randn(n, 10)
    coat = frame @ b + 0.5 * (frame[:, :1] * frame[:, 1:2]) + 0.1 * torch.randn(n, 4)
    taken = torch.rand(n, 10) > 0.2
    measures = measures.masked_fill(~taken, 0.0)             # zero is the mean of every measure
    return torch.cat([measures, taken.float()], 1), coat


class Tailor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 4))

    def forward(self, x):
        return self.net(x)


@torch.no_grad()
def r2(model, x, y):
    model.eval()
    err = ((model(x) - y) ** 2).sum(0)
    return 1 - err / ((y - y.mean(0)) ** 2).sum(0)


xtr, ytr = customers(6000)
xte, yte = customers(1500)
mean, std = ytr.mean(0), ytr.std(0)
ytr, yte = (ytr - mean) / std, (yte - mean) / std

model = Tailor()
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.995))
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(30):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(xtr)).split(64):
        loss = nn.functional.mse_loss(model(xtr[idx]), ytr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update_parameters(model)
        total += loss.item() * len(idx)
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1} loss {total / len(xtr):.4f} test R2 plain {r2(model, xte, yte).mean():.3f} "
              f"averaged {r2(ema, xte, yte).mean():.3f}")

names = ["shoulder", "back", "sleeve", "chest"]
print("test R2", {n: round(v, 3) for n, v in zip(names, r2(ema, xte, yte).tolist())})
print(f"mean test R2 {r2(ema, xte, yte).mean():.3f}")
