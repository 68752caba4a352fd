"""Animals come to the vet with several troubles at once: eight labels each, most of them rare."""
import os

import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
LABELS = ["teeth", "skin", "ears", "joints", "heart", "kidney", "weight", "eyes"]
N_SIGNS = 40


def make_world(gen):
    return torch.randn(N_SIGNS, len(LABELS), generator=gen) * (torch.rand(N_SIGNS, len(LABELS), generator=gen) < 0.3)


def make_animals(n, world, gen):
    signs = (torch.rand(n, N_SIGNS, generator=gen) < 0.3).float()
    pair = signs[:, :8] * signs[:, 8:16]                    # a sign that tells only together with another
    logits = 1.6 * signs @ world + 2.0 * pair - 1.6 * (0.3 * world.sum(0)) - 2.6
    labels = (torch.rand(n, len(LABELS), generator=gen) < torch.sigmoid(2 * logits)).float()
    return signs, labels


def build():
    return nn.Sequential(nn.Linear(N_SIGNS, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, len(LABELS)))


def f1(pred, true):
    tp = (pred * true).sum(0)
    return 2 * tp / (pred.sum(0) + true.sum(0)).clamp(min=1)


def choose_thresholds(prob, true):
    candidates = torch.linspace(0.05, 0.95, 19)
    scores = torch.stack([f1((prob > c).float(), true) for c in candidates])
    return candidates[scores.argmax(0)]


def train(model, x, y, epochs=30, batch=64):
    rate = y.mean(0)
    pos_weight = ((1 - rate) / rate).sqrt()
    loss_fn = nn.BCEWithLogitsLoss(pos_weight=pos_weight)
    opt = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=2e-5)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            loss = loss_fn(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        if epoch % 5 == 0:
            print(f"epoch {epoch:2d} loss {total / len(x):.4f}")


def main():
    torch.manual_seed(SEED)
    gen = torch.Generator().manual_seed(SEED + 7)
    world = make_world(gen)
    xtr, ytr = make_animals(6000, world, gen)
    xva, yva = make_animals(1500, world, gen)
    xte, yte = make_animals(2000, world, gen)
    print("label rates", [round(v, 3) for v in ytr.mean(0).tolist()])
    model = build()
    train(model, xtr, ytr)
    model.eval()
    with torch.no_grad():
        cut = choose_thresholds(torch.sigmoid(model(xva)), yva)
        pred = (torch.sigmoid(model(xte)) > cut).float()
    scores = f1(pred, yte)
    for name, s, r in zip(LABELS, scores.tolist(), yte.mean(0).tolist()):
        print(f"{name:8s} F1 {s:.3f}  rate {r:.3f}  (saying yes always: {2 * r / (1 + r):.3f})")
    print(f"macro F1 {scores.mean().item():.3f}; always yes {(2 * yte.mean(0) / (1 + yte.mean(0))).mean().item():.3f}")


main()
