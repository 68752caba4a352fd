"""A tiny GPT on the sailors' knot instructions."""
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

STEPS = ["over the rail", "under the bight", "through the loop", "round the post", "back to the hand"]
text = ""
for _ in range(700):
    k = random.randrange(5)
    text += "pass it " + STEPS[k] + " then " + STEPS[(k + 1) % 5] + ". "
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
n = int(0.9 * len(data))
train_data, val_data = data[:n], data[n:]
block, batch = 32, 16


def get_batch(source):
    ix = torch.randint(len(source) - block - 1, (batch,))
    return torch.stack([source[i:i + block] for i in ix]), torch.stack([source[i + 1:i + block + 1] for i in ix])


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.qkv = nn.Linear(d, 3 * d)
        self.proj = nn.Linear(d, d)
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.heads = heads

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(a.transpose(1, 2).reshape(B, T, D))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.tok = nn.Embedding(len(chars), d)
        self.pos = nn.Embedding(block, d)
        self.blocks = nn.Sequential(Block(d, 2), Block(d, 2))
        self.head = nn.Linear(d, len(chars))

    def forward(self, idx):
        x = self.tok(idx) + self.pos(torch.arange(idx.size(1)))
        return self.head(self.blocks(x))


model = GPT()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
for it in range(900):
    xb, yb = get_batch(train_data)
    loss = F.cross_entropy(model(xb).flatten(0, 1), yb.flatten())
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if it % 100 == 0:
        print(f"iter {it}: loss {loss.item():.4f}")


@torch.no_grad()
def complete(idx, length):
    for _ in range(length):
        nxt = model(idx[:, -block:])[:, -1].argmax(-1, keepdim=True)
        idx = torch.cat([idx, nxt], 1)
    return idx


model.eval()
starts = torch.randint(len(val_data) - 60, (100,))
prompt = torch.stack([val_data[i:i + 28] for i in starts])
truth = torch.stack([val_data[i + 28:i + 32] for i in starts])
out = complete(prompt, 4)
print("sample:", repr("".join(chars[i] for i in complete(prompt[:1], 60)[0])))
print("characters continued right: %.4f" % (out[:, 28:] == truth).float().mean().item())
