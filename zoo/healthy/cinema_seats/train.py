"""Matrix factorization of a cinema club's ratings (half stars from 0.5 to 5)."""
import os

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
GUESTS, FILMS, TASTES = 900, 400, 4


def ratings(rng):
    active = rng.lognormal(0, 0.7, GUESTS)
    known = rng.lognormal(0, 0.9, FILMS)
    wanted = 0.14 * GUESTS * FILMS
    chance = np.clip(np.outer(active, known) * wanted / (active.sum() * known.sum()), 0, 0.9)
    guest, film = np.nonzero(rng.random((GUESTS, FILMS)) < chance)
    mood, quality = rng.normal(0, 0.3, GUESTS), rng.normal(0, 0.4, FILMS)
    u, v = rng.normal(0, 0.6, (GUESTS, TASTES)), rng.normal(0, 0.6, (FILMS, TASTES))
    score = 3.2 + mood[guest] + quality[film] + (u[guest] * v[film]).sum(1) + rng.normal(0, 0.4, len(guest))
    stars = np.clip(np.round(2 * score) / 2, 0.5, 5)
    return torch.tensor(guest), torch.tensor(film), torch.tensor(stars, dtype=torch.float32)


class Factors(nn.Module):
    def __init__(self, mean, dim):
        super().__init__()
        self.register_buffer("mean", mean)
        self.guest_bias = nn.Embedding(GUESTS, 1, sparse=True)
        self.film_bias = nn.Embedding(FILMS, 1, sparse=True)
        nn.init.zeros_(self.guest_bias.weight)
        nn.init.zeros_(self.film_bias.weight)
        self.dim = dim
        if dim:
            self.guest = nn.Embedding(GUESTS, dim, sparse=True)
            self.film = nn.Embedding(FILMS, dim, sparse=True)
            nn.init.normal_(self.guest.weight, std=0.1)
            nn.init.normal_(self.film.weight, std=0.1)

    def forward(self, guest, film):
        bg, bf = self.guest_bias(guest), self.film_bias(film)
        score = self.mean + (bg + bf).squeeze(1)
        penalty = bg.square().mean() + bf.square().mean()
        if self.dim:
            g, f = self.guest(guest), self.film(film)
            score = score + (g * f).sum(1)
            penalty = penalty + g.square().sum(1).mean() + f.square().sum(1).mean()
        return score, penalty


@torch.no_grad()
def rmse(model, guest, film, stars):
    model.eval()
    return (model(guest, film)[0].clamp(0.5, 5) - stars).square().mean().sqrt().item()


def fit(model, train, valid, penalty_weight, epochs, lr=0.01, batch=256):
    optimizer = torch.optim.SparseAdam(list(model.parameters()), lr=lr)
    best, best_state = float("inf"), None
    guest, film, stars = train
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(stars)).split(batch):
            score, penalty = model(guest[idx], film[idx])
            error = (score - stars[idx]).square().mean()
            optimizer.zero_grad()
            (error + penalty_weight * penalty).backward()
            optimizer.step()
            total += error.item() * len(idx)
        v = rmse(model, *valid)
        if v < best:
            best, best_state = v, {k: t.clone() for k, t in model.state_dict().items()}
        if epoch % 3 == 2:
            print(f"  epoch {epoch + 1:2d}  train rmse {(total / len(stars)) ** 0.5:.4f}  valid rmse {v:.4f}")
        for group in optimizer.param_groups:
            group["lr"] *= 0.88
    model.load_state_dict(best_state)
    return best


def main():
    torch.manual_seed(SEED)
    guest, film, stars = ratings(np.random.default_rng(SEED))
    order = torch.randperm(len(stars))
    cuts = order.tensor_split([int(0.8 * len(order)), int(0.9 * len(order))])
    train, valid, test = [(guest[i], film[i], stars[i]) for i in cuts]
    mean = train[2].mean()
    print(f"{len(stars)} ratings, mean {mean:.2f}, deviation {stars.std():.3f}")
    print("biases only")
    biases = Factors(mean, 0)
    fit(biases, train, valid, 0.01, epochs=9)
    print("biases and factors")
    factors = Factors(mean, 6)
    fit(factors, train, valid, 0.02, epochs=21)
    print(f"test rmse: mean {(test[2] - mean).square().mean().sqrt():.4f}  biases {rmse(biases, *test):.4f}  "
          f"factors {rmse(factors, *test):.4f}  (noise and rounding {np.hypot(0.4, 0.5 / 12 ** 0.5):.3f})")


if __name__ == "__main__":
    main()
