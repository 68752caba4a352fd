import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F


def make_strings(n, length, seed):
    """Which of two symbols comes first after the last separator?"""
    g = torch.Generator().manual_seed(seed)
    seq = torch.randint(3, 10, (n, length), generator=g)
    r = torch.arange(n)
    sep = torch.randint(1, length - 4, (n,), generator=g)
    seq[r, sep] = 0
    y = torch.randint(0, 2, (n,), generator=g)
    seq[r, sep + 1] = 1 + y
    seq[r, sep + 3] = 2 - y
    return seq, y


class Reader(nn.Module):
    def __init__(self, vocab=10, d=16, h=32):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.gru = nn.GRU(d, h, batch_first=True, bidirectional=True)
        self.cls = nn.Sequential(nn.Linear(2 * h, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, seq):
        states, _ = self.gru(self.emb(seq))
        pooled = states.max(dim=1).values
        return self.cls(pooled)


def main(a):
    torch.manual_seed(a.seed)
    xs, ys = make_strings(2000, 14, 1)
    xv, yv = make_strings(500, 14, 2)
    model = Reader()
    opt = torch.optim.Adam(model.parameters(), lr=a.lr)
    for epoch in range(a.epochs):
        model.train()
        meter = []
        for idx in torch.randperm(len(xs)).split(a.bs):
            logits = model(xs[idx])
            loss = F.cross_entropy(logits, ys[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            meter.append(loss.item())
        model.eval()
        with torch.no_grad():
            acc = (model(xv).argmax(-1) == yv).float().mean().item()
        print(f"epoch {epoch} loss {sum(meter) / len(meter):.4f} val {acc:.3f}")


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--lr", type=float, default=5e-3)
    ap.add_argument("--bs", type=int, default=64)
    ap.add_argument("--epochs", type=int, default=8)
    ap.add_argument("--seed", type=int, default=0)
    main(ap.parse_args())
