"""Knitting patterns as text: a two-layer causal transformer reads charts like

    R3: k2 (p3 k4) x5 p2 ;

where rows obey rules (k/p alternate, R counts up, the closing stitch repeats the opening count).
Tied embeddings, pre-norm, warm-up + cosine, weight decay only on matrices, charts drawn with
replacement.  The rest of the loss is real randomness: the entropy of the source is printed at the end.
"""
import math
import os
import random

import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
torch.manual_seed(SEED)

VOCAB = "R0123456789:kp()x; "
STOI = {c: i for i, c in enumerate(VOCAB)}
WINDOW, DIM, HEADS, LAYERS = 72, 64, 4, 2


def chart(rows=3):
    """Row numbers count up from a random start; each row has four free counts and a free first stitch."""
    n, out = random.randrange(10), []
    for i in range(rows):
        a, b, c, m = (random.randint(1, 9) for _ in range(4))
        first, other = random.choice([("k", "p"), ("p", "k")])
        out.append(f"R{(n + i) % 10}: {first}{a} ({other}{b} {first}{c}) x{m} {other}{a} ; ")
    return "".join(out)


def encode(charts):
    return torch.tensor([[STOI[ch] for ch in c] for c in charts])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.qkv = nn.Linear(DIM, 3 * DIM, bias=False)
        self.proj = nn.Linear(DIM, DIM, bias=False)
        self.up, self.down = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.n1(x)).view(B, T, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class ChartLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(len(VOCAB), DIM), nn.Embedding(WINDOW, DIM)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, len(VOCAB), bias=False)
        self.apply(self._init)
        self.head.weight = self.tok.weight

    @staticmethod
    def _init(m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.05)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)

    def forward(self, ids):
        h = self.tok(ids) + self.pos.weight[: ids.shape[1]]
        return self.head(self.norm(self.blocks(h)))


train, valid = encode(chart() for _ in range(3000)), encode(chart() for _ in range(400))
model = ChartLM()
mats = [p for p in model.parameters() if p.ndim >= 2]
vecs = [p for p in model.parameters() if p.ndim < 2]
opt = torch.optim.AdamW([{"params": mats, "weight_decay": 0.05}, {"params": vecs, "weight_decay": 0.0}], lr=4e-3, betas=(0.9, 0.97))
STEPS, WARM = 560, 40
sched = torch.optim.lr_scheduler.LambdaLR(
    opt, lambda s: (s + 1) / WARM if s < WARM else 0.05 + 0.475 * (1 + math.cos(math.pi * (s - WARM) / (STEPS - WARM))))
for step in range(1, STEPS + 1):
    ids = train[torch.randint(len(train), (12,))]
    x, y = ids[:, :-1], ids[:, 1:]
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    if step % 100 == 0:
        print(f"step {step} loss {loss.item():.4f} lr {sched.get_last_lr()[0]:.1e}")

model.eval()
with torch.no_grad():
    x, y = valid[:, :-1], valid[:, 1:]
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
floor = (math.log(10) + 3 * (4 * math.log(9) + math.log(2))) / y.shape[1]
print(f"validation loss {loss:.4f} nats per character; the source's entropy is {floor:.4f}")
