"""A small character transformer on a day of platform announcements."""
import math
import os
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
TOWNS = ("Arnfield Bexwick Carrow Denholm Eastry Fenby Garsdale Hexley Ingram Keld Lowick Marsh Norby Orton "
         "Penrith Quorn Rugeley Selby Thirsk Upton").split()


def announcement(rng):
    town, via = rng.sample(TOWNS, 2)
    t = f"{rng.randrange(5, 23):02d}:{5 * rng.randrange(12):02d}"
    p = rng.randrange(1, 9)
    kind = rng.random()
    if kind < 0.45:
        return f"The {t} to {town} via {via} leaves from platform {p}.\n"
    if kind < 0.65:
        return f"The {t} to {town} is delayed by {5 * rng.randrange(1, 7)} minutes. We are sorry.\n"
    if kind < 0.8:
        return f"Platform {p}: change here for {town} and {via}.\n"
    if kind < 0.9:
        return f"The {t} from {town} is now arriving at platform {p}. Stand clear.\n"
    return f"The {t} to {town} is cancelled. Take the bus to {via}.\n"


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.norm2(x))


class CharLM(nn.Module):
    def __init__(self, vocab, dim=64, heads=4, layers=2, context=64):
        super().__init__()
        self.token = nn.Embedding(vocab, dim)
        self.position = nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab, bias=False)
        self.apply(self._init)
        self.head.weight = self.token.weight                    # tied

    @staticmethod
    def _init(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.05)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, ids):
        x = self.token(ids) + self.position.weight[:ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def trigram_bits(train, test, vocab):
    counts = torch.full((vocab, vocab, vocab), 0.01)
    counts.index_put_((train[:-2], train[1:-1], train[2:]), torch.tensor(1.0), accumulate=True)
    p = counts / counts.sum(2, keepdim=True)
    return -p[test[:-2], test[1:-1], test[2:]].log2().mean().item()


@torch.no_grad()
def bits(model, data, context, rows):
    model.eval()
    x = data[:rows * context + 1]
    logits = model(x[:-1].view(rows, context))
    return F.cross_entropy(logits.flatten(0, 1), x[1:]).item() / math.log(2)


def main():
    rng = random.Random(SEED)
    torch.manual_seed(SEED)
    text = "".join(announcement(rng) for _ in range(4000))
    chars = sorted(set(text))
    data = torch.tensor([chars.index(c) for c in text])
    cut = int(0.9 * len(data))
    train, valid = data[:cut], data[cut:]
    context, batch, steps, warmup = 64, 16, 420, 30

    model = CharLM(len(chars), context=context)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                                   {"params": vectors, "weight_decay": 0.0}], lr=4e-3, betas=(0.9, 0.95))

    def rate(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.05 + 0.475 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for step in range(steps):
        model.train()
        start = torch.randint(0, len(train) - context - 1, (batch,))
        window = train[start[:, None] + torch.arange(context + 1)]
        loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % 60 == 59:
            print(f"step {step + 1}  loss {loss.item():.4f}  valid bits {bits(model, valid, context, 60):.4f}")

    print(f"bits per character: trigram {trigram_bits(train, valid, len(chars)):.3f}  "
          f"transformer {bits(model, valid, context, 250):.4f}")


if __name__ == "__main__":
    main()
