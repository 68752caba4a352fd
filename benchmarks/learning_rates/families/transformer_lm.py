"""Next characters of made-up arithmetic, a transformer of two blocks, AdamW with clipping."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CHARACTERS = "0123456789+=; "
BLOCK = 32


def text(count, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 10, (2, count))
    line = " ".join(f"{i}+{j}={i + j};" for i, j in zip(a, b))
    return torch.tensor([CHARACTERS.index(c) for c in line])


class CausalBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_a, self.norm_m = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x):
        b, t, w = x.shape
        q, k, v = self.qkv(self.norm_a(x)).view(b, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, w))
        return x + self.mlp(self.norm_m(x))


class LanguageModel(nn.Module):
    def __init__(self, width=48, heads=4, depth=2):
        super().__init__()
        self.tokens = nn.Embedding(len(CHARACTERS), width)
        self.places = nn.Embedding(BLOCK, width)
        self.blocks = nn.Sequential(*[CausalBlock(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(CHARACTERS), bias=False)
        self.apply(self.initialize)

    def initialize(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def batch(data, size):
    starts = torch.randint(len(data) - BLOCK - 1, (size,)).tolist()
    windows = torch.stack([data[s : s + BLOCK + 1] for s in starts])
    return windows[:, :-1], windows[:, 1:]


def loss_of(model, data, size):
    inputs, targets = batch(data, size)
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    train, held = text(4000, args.seed), text(400, args.seed + 1000)
    model = LanguageModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.95), weight_decay=0.1)
    losses = []
    for step in range(300):
        model.train()
        loss = loss_of(model, train, 16)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step % 100 == 99:
            model.eval()
            with torch.no_grad():
                print(f"step {step + 1}: train {losses[-1]:.4f} held out {loss_of(model, held, 64).item():.4f}")
    print(f"first {losses[0]:.6g} final {sum(losses[-30:]) / 30:.6g} steps {len(losses)}")
