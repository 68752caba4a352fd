"""Which pit does a sherd's clay come from? An embedding of compositions, learned from triples."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def compositions(pits, per_pit, seed):
    """A pit shows in six latent traits; firing and weathering change the sherds far more."""
    world = np.random.default_rng(1234)  # the chemistry is the same for all pits
    to_traits, to_nuisance = world.normal(size=(6, 30)), world.normal(size=(5, 30))
    rng = np.random.default_rng(seed)
    pit = np.repeat(np.arange(pits), per_pit)
    traits = rng.normal(size=(pits, 6))[pit] + 0.25 * rng.normal(size=(pits * per_pit, 6))
    nuisance = 2.0 * rng.normal(size=(pits * per_pit, 5))
    x = np.tanh(0.35 * (traits @ to_traits + nuisance @ to_nuisance)) + 0.05 * rng.normal(size=(pits * per_pit, 30))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(pit)


class Embedder(nn.Module):
    def __init__(self, n_in, width, out):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.out = nn.Linear(width, out)

    def forward(self, x):
        return F.normalize(self.out(self.body(x)), dim=1)


def draw_triples(pit, n):
    anchor = torch.randint(len(pit), (n,))
    same = torch.empty(n, dtype=torch.long)
    other = torch.empty(n, dtype=torch.long)
    for k, a in enumerate(anchor.tolist()):
        mates = torch.nonzero(pit == pit[a]).squeeze(1)
        mates = mates[mates != a]
        same[k] = mates[torch.randint(len(mates), ())]
        strangers = torch.nonzero(pit != pit[a]).squeeze(1)
        other[k] = strangers[torch.randint(len(strangers), ())]
    return anchor, other, same


@torch.no_grad()
def recall_at_1(model, x, pit):
    model.eval()
    z = model(x)
    sim = z @ z.t()
    sim.fill_diagonal_(-2)
    model.train()
    return (pit[sim.argmax(1)] == pit).float().mean().item()


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--steps", type=int, default=600)
    ap.add_argument("--margin", type=float, default=0.4)
    ap.add_argument("--lr", type=float, default=2e-3)
    args = ap.parse_args()
    torch.manual_seed(41)
    x, pit = compositions(60, 20, seed=41)
    x_new, pit_new = compositions(25, 12, seed=141)
    mean, std = x.mean(0), x.std(0)
    x, x_new = (x - mean) / std, (x_new - mean) / std
    model = Embedder(30, 96, 16)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for step in range(1, args.steps + 1):
        anchor, other, same = draw_triples(pit, 64)
        za, zo, zs = model(x[anchor]), model(x[other]), model(x[same])
        loss = F.triplet_margin_loss(za, zo, zs, margin=args.margin)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 100 == 0:
            print(f"step {step:4d}  loss {loss.item():.3f}  recall@1 on new pits {recall_at_1(model, x_new, pit_new):.3f}")
