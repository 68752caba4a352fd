"""A very small GPT that learns to write an endless limerick, letter by letter."""
import math
import os
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
BLOCK, BATCH, STEPS, DIM, HEADS, LAYERS = 48, 16, 500, 64, 4, 2


PEOPLE = ["lady", "fellow", "sailor", "tailor", "baker", "vicar", "painter", "widow"]
KINDS = ["young", "old", "tall", "shy", "proud", "plump"]
HABITS = {
    "Leeds": ["who swallowed a packet of seeds", "who wore nothing but weeds", "who lived on the books that she reads"],
    "Crewe": ["who dreamed of eating a shoe", "who wanted to live in a zoo", "who never knew quite what to do"],
    "Kent": ["whose nose was remarkably bent", "who slept every night in a tent", "who never remembered the rent"],
    "Ryde": ["who fell in the sea and then cried", "who took every cow for a ride", "who painted the house on one side"],
}
ENDS = ["and nobody knew what it meant.", "so that was the end of the day.", "which made all the neighbours complain.",
        "till somebody sent for the law.", "and that is the last that we heard.", "but nobody asked for the reason."]


def verses(rng):
    """Every verse that can be made, once, in random order."""
    out = [f"There was a {kind} {person} of {place},\n{habit},\n{end}\n\n" for kind in KINDS for person in PEOPLE
           for place, habits in HABITS.items() for habit in habits for end in ENDS]
    rng.shuffle(out)
    return out


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (z.view(b, t, HEADS, -1).transpose(1, 2) for z in self.qkv(x).split(DIM, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(b, t, DIM))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.att = Attention()
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))

    def forward(self, x):
        x = x + self.att(self.n1(x))
        return x + self.mlp(self.n2(x))


class LimerickFormer(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.tok = nn.Embedding(vocab, DIM)
        self.pos = nn.Embedding(BLOCK, DIM)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, vocab, bias=False)
        self.head.weight = self.tok.weight
        self.apply(self.init)

    @staticmethod
    def init(m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.05)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)

    def forward(self, ids):
        x = self.tok(ids) + self.pos.weight[: ids.shape[1]]
        return self.head(self.norm(self.blocks(x)))


def get_batch(data, g):
    start = torch.randint(len(data) - BLOCK, (BATCH,), generator=g)
    rows = torch.stack([data[i:i + BLOCK + 1] for i in start])
    return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def bits(model, data):
    model.eval()
    rows = data[: (len(data) - 1) // BLOCK * BLOCK + 1]
    x, y = rows[:-1].view(-1, BLOCK), rows[1:].view(-1, BLOCK)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    model.train()
    return loss.item() / math.log(2)


def main():
    torch.manual_seed(SEED)
    g = torch.Generator().manual_seed(SEED)
    every = verses(random.Random(SEED))
    train_text, test_text = "".join(every[:1500]), "".join(every[1500:1580])
    chars = sorted(set(train_text))
    code = {c: i for i, c in enumerate(chars)}
    train, test = (torch.tensor([code[c] for c in t]) for t in (train_text, test_text))
    model = LimerickFormer(len(chars))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                            lr=2e-3, betas=(0.9, 0.98))
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min((s + 1) / 30, 0.55 + 0.45 * math.cos(math.pi * s / STEPS)))
    for step in range(STEPS):
        x, y = get_batch(train, g)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        if step % 100 == 99:
            print(f"step {step + 1} loss {loss.item():.4f} test bits per letter {bits(model, test):.4f}")
    counts = torch.bincount(train).float()
    single = -(counts / counts.sum() * (counts / counts.sum()).log2()).sum().item()
    print(f"test bits per letter {bits(model, test):.4f}; from the frequency of letters alone {single:.3f}")


if __name__ == "__main__":
    main()
