"""Prices of six trades, each with its own rule: a sparse mixture of experts, with a balancing loss."""
import os

import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
EXPERTS, FEATURES = 6, 12


def rules(gen):
    return [(torch.randn(FEATURES, generator=gen), torch.randn(FEATURES, generator=gen)) for _ in range(6)]


def orders(n, table, gen):
    trade = torch.randint(0, 6, (n,), generator=gen)
    x = torch.randn(n, FEATURES, generator=gen)
    y = torch.zeros(n)
    for k, (a, b) in enumerate(table):
        at = trade == k
        y[at] = torch.sin(x[at] @ a / 2) * 1.5 + (x[at] @ b) / 3
    y = y + 0.1 * torch.randn(n, generator=gen)
    return torch.cat([x, F.one_hot(trade, 6).float()], 1), y


class Expert(nn.Module):
    def __init__(self, d, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


class Mixture(nn.Module):
    def __init__(self, d, k=2):
        super().__init__()
        self.k = k
        self.experts = nn.ModuleList([Expert(d) for _ in range(EXPERTS)])
        self.gate = nn.Linear(d, EXPERTS)

    def forward(self, x):
        logits = self.gate(x)
        if self.training:
            logits = logits + 0.3 * torch.randn_like(logits)
        probs = logits.softmax(-1)
        top, idx = probs.topk(self.k, dim=-1)
        top = top / top.sum(-1, keepdim=True)
        out = torch.zeros(len(x))
        for e, expert in enumerate(self.experts):
            rows, slot = (idx == e).nonzero(as_tuple=True)
            if len(rows) == 0:
                continue                                    # nothing for this master today
            out = out.index_add(0, rows, top[rows, slot] * expert(x[rows]))
        load = F.one_hot(idx, EXPERTS).float().sum(1).mean(0) / self.k
        balance = EXPERTS * (load.detach() * probs.mean(0)).sum()
        return out, balance, load


def main():
    torch.manual_seed(SEED)
    gen = torch.Generator().manual_seed(SEED + 11)
    table = rules(gen)
    xtr, ytr = orders(8000, table, gen)
    xte, yte = orders(2000, table, gen)
    moe = Mixture(xtr.shape[1])
    opt = torch.optim.Adam(moe.parameters(), lr=6e-3)
    epochs = 22
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        moe.train()
        total = 0.0
        for idx in torch.randperm(len(xtr)).split(100):
            pred, balance, load = moe(xtr[idx])
            mse = F.mse_loss(pred, ytr[idx])
            opt.zero_grad()
            (mse + 0.02 * balance).backward()
            opt.step()
            total += mse.item() * len(idx)
        sched.step()
        if epoch % 5 == 0:
            print(f"epoch {epoch} mse {total / len(xtr):.4f} balance {balance.item():.3f}")
    moe.eval()
    with torch.no_grad():
        pred, balance, load = moe(xte)
    print("load of the masters", [round(v, 2) for v in load.tolist()])
    print(f"test R2 {1 - F.mse_loss(pred, yte).item() / yte.var().item():.4f}")


main()
