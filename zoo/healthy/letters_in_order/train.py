"""Questions are read as a whole, answers are written from left to right: a prefix language model."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

CHARS = "_abcdefghijklmnop=;"
CODE = {c: i for i, c in enumerate(CHARS)}
IGNORE = -1
LONGEST = 8


def problem():
    """Some letters in any order, and their alphabetical order."""
    letters = random.sample(CHARS[1:17], random.randint(3, LONGEST))
    return "".join(letters) + "=", "".join(sorted(letters)) + ";"


def encode(pairs):
    rows = [q + a for q, a in pairs]
    width = max(map(len, rows))
    ids = torch.tensor([[CODE[c] for c in r.ljust(width, "_")] for r in rows])
    prefix = torch.tensor([len(q) for q, _ in pairs])
    total = torch.tensor([len(r) for r in rows])
    return ids, prefix, total


def prefix_mask(prefix, total, width):
    """True where a query (dim 1) may look at a key (dim 2)."""
    at = torch.arange(width)
    causal = at[None, :, None] >= at[None, None, :]
    inside = (at < prefix[:, None])[:, None, :] & (at < prefix[:, None])[:, :, None]
    real = (at < total[:, None])[:, None, :]
    return ((causal | inside) & real) | torch.eye(width, dtype=torch.bool)


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.ff = nn.Sequential(nn.Linear(dim, 3 * dim), nn.GELU(), nn.Linear(3 * dim, dim))

    def forward(self, x, mask):
        b, t, d = x.shape
        q, k, v = self.qkv(self.n1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])
        x = x + self.proj(h.transpose(1, 2).reshape(b, t, d))
        return x + self.ff(self.n2(x))


class PrefixLM(nn.Module):
    def __init__(self, dim=48, depth=2):
        super().__init__()
        self.tok = nn.Embedding(len(CHARS), dim)
        self.pos = nn.Parameter(0.02 * torch.randn(2 * LONGEST + 2, dim))
        self.blocks = nn.ModuleList(Block(dim, 4) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, ids, prefix, total):
        x = self.tok(ids) + self.pos[: ids.size(1)]
        mask = prefix_mask(prefix, total, ids.size(1))
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) @ self.tok.weight.T


def answer_loss(model, ids, prefix, total):
    logits = model(ids, prefix, total)[:, :-1]
    at = torch.arange(1, ids.size(1))
    ours = (at >= prefix[:, None]) & (at < total[:, None])
    target = ids[:, 1:].masked_fill(~ours, IGNORE)
    return F.cross_entropy(logits.transpose(1, 2), target, ignore_index=IGNORE)


@torch.no_grad()
def sorted_well(model, pairs):
    model.eval()
    ids, prefix, _ = encode([(q, "") for q, _ in pairs])
    ids = F.pad(ids, (0, LONGEST + 1))
    total = prefix.clone()
    for _ in range(LONGEST + 1):
        logits = model(ids, prefix, total)
        rows = torch.arange(len(ids))
        ids[rows, total] = logits[rows, total - 1].argmax(-1)
        total = total + 1
    texts = ["".join(CHARS[i] for i in row) for row in ids.tolist()]
    model.train()
    return sum(t.startswith(q + a) for t, (q, a) in zip(texts, pairs)) / len(pairs)


random.seed(6)
torch.manual_seed(6)
exam = [problem() for _ in range(200)]
asked = {q for q, _ in exam}
model = PrefixLM()
nn.init.normal_(model.tok.weight, std=0.15)
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 5e-3, total_steps=240)
for step in range(1, 241):
    batch = [p for p in (problem() for _ in range(48)) if p[0] not in asked]
    loss = answer_loss(model, *encode(batch))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    if step % 60 == 0:
        print(f"{step} loss {loss.item():.3f} lists right {sorted_well(model, exam):.3f}")
