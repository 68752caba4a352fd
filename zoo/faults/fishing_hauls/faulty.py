"""Fishing hauls: every haul is a bag of measured fish; guess the fishing ground and the auction price together."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)
rng = np.random.default_rng(21)

N_HAULS, N_FEAT, N_GROUNDS = 1800, 5, 4
DIM, BATCH, EPOCHS = 16, 50, 25

# two binary traits of the fish (each an interaction of measurements) differ in frequency between grounds
TRAIT_RATE = np.array([[0.2, 0.2], [0.2, 0.8], [0.8, 0.2], [0.8, 0.8]])


def catch(ground):
    n = rng.integers(6, 14)
    x = rng.normal(size=(n, N_FEAT))
    for j, (a, b) in enumerate([(0, 1), (2, 3)]):
        trait = rng.random(n) < TRAIT_RATE[ground, j]
        x[:, b] = np.abs(x[:, b]) * np.sign(x[:, a]) * np.where(trait, 1, -1)
    plump = np.maximum(x[:, 4], 0) * (x[:, 0] * x[:, 1] > 0)
    return x.astype(np.float32), 3.0 + 2.0 * plump.mean() + 0.05 * rng.normal()


grounds = rng.integers(0, N_GROUNDS, N_HAULS)
bags, prices = zip(*(catch(g) for g in grounds))
bags = [torch.from_numpy(b) for b in bags]
grounds = torch.from_numpy(grounds)
prices = torch.tensor(prices, dtype=torch.float32)

N_TRAIN = 1400
mu, sd = prices[:N_TRAIN].mean(), prices[:N_TRAIN].std()
prices = (prices - mu) / sd


class HaulNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fish = nn.Sequential(
            nn.Linear(N_FEAT, 64), nn.ReLU(),
            nn.Linear(64, 64), nn.ReLU(),
            nn.Linear(64, DIM),
        )
        self.ground = nn.Sequential(nn.Linear(DIM, 32), nn.ReLU(), nn.Linear(32, N_GROUNDS))
        self.price = nn.Sequential(nn.Linear(DIM, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, hauls):
        sizes = [len(h) for h in hauls]
        per_fish = self.fish(torch.cat(hauls))
        pooled = torch.zeros(len(hauls), DIM, requires_grad=True)
        for i, part in enumerate(per_fish.split(sizes)):
            pooled.data[i] = part.mean(0)
        return self.ground(pooled), self.price(pooled).squeeze(-1)


def batches(n, size):
    order = rng.permutation(n)
    for start in range(0, n, size):
        idx = order[start:start + size]
        yield [bags[i] for i in idx], grounds[idx], prices[idx]


def evaluate(model, ids):
    model.eval()
    with torch.no_grad():
        logits, price = model([bags[i] for i in ids])
    acc = (logits.argmax(1) == grounds[ids]).float().mean().item()
    resid = (price - prices[ids]).pow(2).mean() / prices[ids].var()
    return acc, 1 - resid.item()


model = HaulNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)
test_ids = np.arange(N_TRAIN, N_HAULS)

for epoch in range(EPOCHS):
    model.train()
    tot_g = tot_p = n = 0
    for hauls, g, p in batches(N_TRAIN, BATCH):
        logits, price = model(hauls)
        loss_g = F.cross_entropy(logits, g)
        loss_p = F.mse_loss(price, p)
        optimizer.zero_grad()
        (loss_g + loss_p).backward()
        optimizer.step()
        tot_g, tot_p, n = tot_g + loss_g.item(), tot_p + loss_p.item(), n + 1
    scheduler.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1:2d}  ground {tot_g / n:.3f}  price {tot_p / n:.3f}")

acc, r2 = evaluate(model, test_ids)
print(f"price R2 {r2:.3f}")
print(f"ground accuracy {acc:.3f}")
