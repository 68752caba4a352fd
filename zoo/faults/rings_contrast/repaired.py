import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Projector(nn.Module):
    def __init__(self, d_in=64, d_out=16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d_in, 96), nn.ReLU(), nn.Linear(96, d_out))

    def forward(self, x):
        return F.normalize(self.net(x), dim=-1)


def supervised_contrastive(z, y, tau=0.2):
    sim = z @ z.t() / tau
    eye = torch.eye(len(z), dtype=torch.bool)
    sim = sim.masked_fill(eye, -1e9)
    same = (y[:, None] == y[None]) & ~eye
    logp = sim.log_softmax(1)
    per = -(logp * same).sum(1) / same.sum(1).clamp(min=1)
    return per.mean()


@torch.no_grad()
def knn_score(model, bank, bank_y, query, query_y):
    model.eval()
    nearest = (model(query) @ model(bank).t()).topk(5, dim=1).indices
    votes = F.one_hot(bank_y[nearest], 10).sum(1).argmax(1)
    within = (model(query) @ model(bank).t())
    same = query_y[:, None] == bank_y[None]
    gap = within[same].mean() - within[~same].mean()
    return (votes == query_y).float().mean().item(), gap.item()


def fit(model, x, y, xv, yv, epochs=15, bs=128):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    for epoch in range(epochs):
        model.train()
        perm = torch.randperm(len(x))
        losses = []
        for i in range(0, len(x) - bs + 1, bs):
            idx = perm[i:i + bs]
            noisy = x[idx] + 0.05 * torch.randn_like(x[idx])
            optimizer.zero_grad()
            loss = supervised_contrastive(model(noisy), y[idx])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        acc, gap = knn_score(model, x, y, xv, yv)
        print(f"epoch {epoch:2d} loss {sum(losses) / len(losses):.4f} knn {acc:.3f} gap {gap:.3f}")


torch.manual_seed(0)
d = load_digits()
X = torch.tensor(d.data, dtype=torch.float32) / 16
Y = torch.tensor(d.target)
fit(Projector(), X[:1400], Y[:1400], X[1400:], Y[1400:])
