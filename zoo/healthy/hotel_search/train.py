"""Ranking of hotels for a search with LambdaRank.

There is no loss that is differentiated: the lambdas of Burges (2010) are
the gradient of the scores, and they go straight into backward.
"""
import numpy as np
import torch
from torch import nn


def searches(rng, n, taste):
    """Lists of 8 to 25 hotels with grades 0..3."""
    out = []
    for _ in range(n):
        m = rng.integers(8, 26)
        hotels = rng.standard_normal((m, 8))
        trip = rng.standard_normal(3)
        merit = hotels @ taste + 1.5 * hotels[:, 0] * trip[0] - np.abs(hotels[:, 1] - trip[1]) + 0.3 * rng.standard_normal(m)
        grade = np.digitize(merit, np.quantile(merit, [0.5, 0.75, 0.9]))
        x = np.concatenate([hotels, np.repeat(trip[None], m, axis=0)], axis=1)
        out.append((torch.tensor(x, dtype=torch.float32), torch.tensor(grade)))
    return out


def discounts(n):
    return 1.0 / torch.log2(torch.arange(n) + 2.0)


def ndcg(score, grade, k=10):
    gain = 2.0 ** grade - 1
    k = min(k, len(grade))
    d = discounts(k)
    best = (gain.sort(descending=True).values[:k] * d).sum()
    return ((gain[score.argsort(descending=True)[:k]] * d).sum() / best).item()


def lambdas(score, grade, sigma=1.0):
    gain = 2.0 ** grade - 1
    ideal = (gain.sort(descending=True).values * discounts(len(grade))).sum()
    rank = score.argsort(descending=True).argsort()
    d = discounts(len(grade))[rank]
    swap = (gain[:, None] - gain[None]).abs() * (d[:, None] - d[None]).abs() / ideal
    better = (grade[:, None] > grade[None]).float()
    push = sigma * torch.sigmoid(-sigma * (score[:, None] - score[None])) * swap * better
    return push.sum(dim=0) - push.sum(dim=1)


class Ranker(nn.Module):
    def __init__(self, n_in, width=64):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_in, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1, bias=False),
        )

    def forward(self, x):
        return self.net(x).squeeze(-1)


def evaluate(model, lists):
    model.eval()
    with torch.no_grad():
        return float(np.mean([ndcg(model(x), g) for x, g in lists]))


def train(model, lists, epochs=14, lists_per_step=8, lr=1e-3):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.1, total_iters=epochs)
    for epoch in range(epochs):
        model.train()
        order = np.random.permutation(len(lists))
        size = 0.0
        for start in range(0, len(order), lists_per_step):
            picked = [lists[i] for i in order[start:start + lists_per_step]]
            scores = model(torch.cat([x for x, _ in picked]))
            with torch.no_grad():
                parts = scores.split([len(g) for _, g in picked])
                lam = torch.cat([lambdas(s, g) for s, (_, g) in zip(parts, picked)])
            opt.zero_grad()
            scores.backward(gradient=lam)
            opt.step()
            size += lam.abs().mean().item()
        sched.step()
        print(f"epoch {epoch + 1:2d} mean lambda {size * lists_per_step / len(order):.4f} ndcg {evaluate(model, lists[:150]):.4f}")


def main():
    np.random.seed(10)
    torch.manual_seed(10)
    rng = np.random.default_rng(np.random.randint(1 << 20))
    taste = rng.standard_normal(8) * 0.7
    train_lists, test_lists = searches(rng, 1200, taste), searches(rng, 300, taste)
    model = Ranker(11)
    print(f"untrained ndcg@10 {evaluate(model, test_lists):.4f}")
    train(model, train_lists)
    print(f"test ndcg@10 {evaluate(model, test_lists):.4f}")


if __name__ == "__main__":
    main()
