"""Which fuse boxes will fail within the year?  Two in a hundred do."""
import os

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
FEATURES = 12


def boxes(n, rng):
    x = rng.normal(size=(n, FEATURES)).astype(np.float32)
    heat = np.maximum(x[:, 0], 0) * np.maximum(x[:, 1], 0)
    score = 3.0 * heat + 1.2 * x[:, 2] ** 2 - 1.0 * x[:, 3] + 0.8 * x[:, 4] * (x[:, 5] > 0)
    score = score + rng.normal(0, 0.7, n)
    return x, score


def average_precision(scores, y):
    order = np.argsort(-scores, kind="stable")
    hits = y[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum())


def best_threshold(scores, y):
    best = (0.0, 0.0)
    for t in np.quantile(scores, np.linspace(0.9, 0.999, 100)):
        best = max(best, (f1(scores > t, y), float(t)))
    return best[1]


def f1(pred, y):
    tp = float((pred & (y == 1)).sum())
    return 2 * tp / max(1.0, float(pred.sum() + y.sum()))


class FuseNet(nn.Module):
    def __init__(self, prior):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.out = nn.Linear(32, 1)
        nn.init.constant_(self.out.bias, prior)

    def forward(self, x):
        return self.out(self.layers(x)).squeeze(-1)


@torch.no_grad()
def scores_of(model, x):
    model.eval()
    return model(torch.from_numpy(x)).numpy()


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    x, score = boxes(30000, rng)
    cut = np.quantile(score, 0.98)
    y = (score > cut).astype(np.float32)
    (xt, yt), (xv, yv), (xs, ys) = [(x[a:b], y[a:b]) for a, b in ((0, 18000), (18000, 24000), (24000, 30000))]
    print(f"failures: {int(yt.sum())} of {len(yt)} in training")

    weight = torch.tensor(7.0)        # about the root of 49 sound boxes to a bad one: a milder weight ranks better
    model = FuseNet(prior=float(np.log(7.0 * yt.mean() / (1 - yt.mean()))))
    loss_fn = nn.BCEWithLogitsLoss(pos_weight=weight)
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    tx, ty = torch.from_numpy(xt), torch.from_numpy(yt)
    epochs = 16
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    best, keep = -1.0, None
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(tx)).split(64):
            opt.zero_grad()
            loss = loss_fn(model(tx[idx]), ty[idx])
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        sched.step()
        ap = average_precision(scores_of(model, xv), yv)
        print(f"epoch {epoch:2d} loss {total / len(tx):.4f} valid average precision {ap:.3f}")
        if ap > best:
            best, keep = ap, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(keep)
    threshold = best_threshold(scores_of(model, xv), yv)
    s = scores_of(model, xs)
    print(f"test: average precision {average_precision(s, ys):.3f} (by chance {ys.mean():.3f}), "
          f"F1 {f1(s > threshold, ys):.3f} at the threshold of the validation part")


if __name__ == "__main__":
    main()
