import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics.pairwise import cosine_similarity

# Two views of the same dish: a spectrum of smells (30 channels) and a list of ingredients (ids, padded with 0).
N_ING, SLOTS = 40, 6
torch.manual_seed(9)
np.random.seed(9)
AROMA = torch.tensor(np.random.randn(N_ING + 1, 30), dtype=torch.float32)
AROMA[0] = 0


def dishes(n):
    ids = torch.rand(n, N_ING).topk(SLOTS, dim=1).indices + 1
    ids[torch.rand(n, SLOTS) < 0.15] = 0
    smell = torch.tanh(AROMA[ids].sum(1) / 2) + 0.2 * torch.randn(n, 30)
    return smell, ids


class SmellTower(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(30, 128), nn.GELU(), nn.Linear(128, d))

    def forward(self, smell):
        return self.net(smell)


class RecipeTower(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.emb = nn.EmbeddingBag(N_ING + 1, 64, mode="sum", padding_idx=0)
        self.net = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 128), nn.GELU(), nn.Linear(128, d))

    def forward(self, ids):
        return self.net(self.emb(ids))


class Matcher(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.smell, self.recipe = SmellTower(d), RecipeTower(d)
        self.log_scale = nn.Parameter(torch.tensor(np.log(1 / 0.1), dtype=torch.float32))

    def forward(self, smell, ids):
        a, b = self.smell(smell), self.recipe(ids)
        sim = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
        return sim * self.log_scale.exp()


def clip_loss(logits):
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def recall(model, smell, ids, k=1):
    with torch.no_grad():
        top = model(smell, ids).topk(k, dim=1).indices
    return (top == torch.arange(len(smell))[:, None]).any(1).float().mean().item()


val = dishes(200)
model = Matcher()
optim = torch.optim.AdamW(model.parameters(), lr=2e-3)
running = []
for it in range(1, 401):
    loss = clip_loss(model(*dishes(64)))
    optim.zero_grad()
    loss.backward()
    optim.step()
    running.append(loss.item())
    if it % 100 == 0:
        print(f"{it} loss {np.mean(running[-100:]):.3f} R@1 {recall(model, *val):.3f} R@5 {recall(model, *val, k=5):.3f}")
