"""Word vectors from caravan ledgers: skip-gram, negative sampling, sparse gradients."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

rng = np.random.default_rng(41)
torch.manual_seed(41)

# --- ledgers: every line follows one of eight routes; a route prefers its own 25 goods
ROUTES, GOODS, COMMON = 8, 25, 40
words = [f"{route}_{k}" for route in "amber cedar silk salt pepper indigo myrrh tea".split() for k in range(GOODS)]
words += [f"common_{k}" for k in range(COMMON)]
VOCAB = len(words)
route_of = np.repeat(np.arange(ROUTES), GOODS)
zipf = 1 / np.arange(1, GOODS + 1) ** 0.7
zipf /= zipf.sum()
zipf_common = 1 / np.arange(1, COMMON + 1)
zipf_common /= zipf_common.sum()


def ledger_line(length=20):
    route = rng.integers(ROUTES)
    u = rng.random(length)
    own = route * GOODS + rng.choice(GOODS, length, p=zipf)
    foreign = rng.integers(0, ROUTES * GOODS, length)
    common = ROUTES * GOODS + rng.choice(COMMON, length, p=zipf_common)
    return np.where(u < 0.5, own, np.where(u < 0.65, foreign, common))


lines = [ledger_line() for _ in range(3000)]
held_out_lines = [ledger_line() for _ in range(300)]
counts = np.bincount(np.concatenate(lines), minlength=VOCAB)
freq = counts / counts.sum()
keep = np.minimum(1.0, np.sqrt(4e-3 / freq))


def to_pairs(lines, window=3):
    centres, contexts = [], []
    for line in lines:
        line = line[rng.random(len(line)) < keep[line]]
        for offset in range(1, window + 1):
            centres += [line[:-offset], line[offset:]]
            contexts += [line[offset:], line[:-offset]]
    return torch.tensor(np.concatenate(centres)), torch.tensor(np.concatenate(contexts))


centres, contexts = to_pairs(lines)
val_centres, val_contexts = to_pairs(held_out_lines)
noise = torch.tensor(freq ** 0.75, dtype=torch.float32)
print(f"{VOCAB} words, {len(centres)} pairs")


class SkipGram(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.inside = nn.Embedding(VOCAB, dim, sparse=True)
        self.outside = nn.Embedding(VOCAB, dim, sparse=True)
        nn.init.uniform_(self.inside.weight, -0.5 / dim, 0.5 / dim)
        nn.init.zeros_(self.outside.weight)

    def forward(self, centre, context, negatives):
        v = self.inside(centre)
        positive = (v * self.outside(context)).sum(1)
        negative = torch.einsum("bd,bkd->bk", v, self.outside(negatives))
        return -(F.logsigmoid(positive) + F.logsigmoid(-negative).sum(1)).mean()


def draw_negatives(n, k=5):
    return torch.multinomial(noise, n * k, replacement=True).view(n, k)


@torch.no_grad()
def held_out(model):
    model.eval()
    return model(val_centres, val_contexts, draw_negatives(len(val_centres))).item()


@torch.no_grad()
def purity(model, k=5):
    """Share of the k nearest goods that travel the same route."""
    v = F.normalize(model.inside.weight[:ROUTES * GOODS], dim=1)
    sim = v @ v.T
    sim.fill_diagonal_(-2)
    nearest = sim.topk(k, dim=1).indices.numpy()
    return (route_of[nearest] == route_of[:, None]).mean()


model = SkipGram()
EPOCHS, BATCH = 4, 512
optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.01)
start = purity(model)
print(f"before: held-out loss {held_out(model):.4f}, purity {start:.3f}")
for epoch in range(EPOCHS):
    for group in optimizer.param_groups:
        group["lr"] = 0.01 * (1 - epoch / EPOCHS)
    model.train()
    order, total = torch.randperm(len(centres)), 0.0
    for idx in order.split(BATCH):
        loss = model(centres[idx], contexts[idx], draw_negatives(len(idx)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    print(f"epoch {epoch}  train {total / len(centres):.4f}  held-out {held_out(model):.4f}  purity {purity(model):.3f}")
print(f"nearest goods on the same route: {purity(model):.4f} (untrained {start:.3f}, chance {1 / ROUTES:.3f})")
