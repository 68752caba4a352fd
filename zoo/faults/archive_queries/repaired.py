"""Look up a field of a card catalogue: a drawer holds a few cards (subject, shelf), the question names a subject."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

SUBJECTS, SHELVES, SLOTS = 12, 10, 9


def make_drawers(n, rng):
    subject = np.zeros((n, SLOTS), dtype=np.int64)
    shelf = np.zeros((n, SLOTS), dtype=np.int64)
    question = np.zeros(n, dtype=np.int64)
    answer = np.zeros(n, dtype=np.int64)
    for i in range(n):
        k = rng.integers(3, SLOTS)
        subject[i, :k] = rng.permutation(SUBJECTS)[:k] + 1
        shelf[i, :k] = rng.integers(1, SHELVES + 1, k)
        j = rng.integers(k)
        question[i] = subject[i, j]
        answer[i] = shelf[i, j] - 1
    return [torch.from_numpy(a) for a in (subject, shelf, question, answer)]


class Reader(nn.Module):
    def __init__(self, dim: int = 48, heads: int = 2):
        super().__init__()
        self.heads = heads
        self.subject = nn.Embedding(SUBJECTS + 1, dim, padding_idx=0)
        self.shelf = nn.Embedding(SHELVES + 1, dim, padding_idx=0)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 96), nn.GELU(), nn.Linear(96, SHELVES))

    def split(self, x):
        b, n, d = x.shape
        return x.view(b, n, self.heads, d // self.heads).transpose(1, 2)

    def forward(self, subject, shelf, question):
        pad = subject.eq(0)
        cards = self.subject(subject) + self.shelf(shelf)
        asked = self.subject(question)[:, None]
        q = self.split(self.q(asked))
        k, v = (self.split(t) for t in self.kv(cards).chunk(2, dim=-1))
        # fused kernel instead of nn.MultiheadAttention; the key padding mask only needs two more axes
        mask = ~pad[:, None, None, :]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out = out.transpose(1, 2).flatten(2)
        x = self.norm(asked + self.proj(out))
        return self.mlp(x[:, 0])


def main():
    rng = np.random.default_rng(seed)
    train = make_drawers(6000, rng)
    test = make_drawers(1000, rng)
    model = Reader()
    opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    steps = 1000
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=3e-3, total_steps=steps)
    for step in range(steps):
        idx = torch.randint(0, 6000, (128,))
        subject, shelf, question, answer = (t[idx] for t in train)
        loss = F.cross_entropy(model(subject, shelf, question), answer)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        if step % 100 == 99:
            print(f"step {step + 1} loss {loss.item():.4f}")
    model.eval()
    with torch.no_grad():
        hit = (model(*test[:3]).argmax(1) == test[3]).float().mean().item()
    print(f"test accuracy {hit:.4f}")


if __name__ == "__main__":
    main()
