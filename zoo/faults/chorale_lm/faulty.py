"""A small causal transformer that continues four-part cadences, one chord symbol per token."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

CHORDS = ["I", "ii", "iii", "IV", "V", "vi", "vii", "I6", "V7", "."]
FOLLOW = {
    "I": "IV V vi ii", "ii": "V V7 vii", "iii": "vi IV", "IV": "ii V I6 vii", "V": "I vi",
    "vi": "ii IV iii", "vii": "I iii", "I6": "IV ii V7", "V7": "I vi I6", ".": "I",
}


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--context", type=int, default=32)
    p.add_argument("--width", type=int, default=48)
    p.add_argument("--seed", type=int, default=11)
    return p.parse_args([])


def write_corpus(n, g):
    """Every phrase of six chords is sung twice."""
    notes = []
    while len(notes) < n:
        phrase = ["I"]
        for _ in range(5):
            options = FOLLOW[phrase[-1]].split()
            phrase.append(options[int(torch.randint(len(options), (1,), generator=g))])
        notes += phrase + phrase + ["."]
    return torch.tensor([CHORDS.index(c) for c in notes])


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(x).chunk(3, dim=-1))
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(h.transpose(1, 2).reshape(b, t, d))


class Layer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.att = Attention(d, 4)
        self.ff = nn.Sequential(nn.Linear(d, 3 * d), nn.GELU(), nn.Linear(3 * d, d))

    def forward(self, x):
        x = self.n1(x + self.att(x))
        return self.n2(x + self.ff(x))


class ChordModel(nn.Module):
    def __init__(self, d, context):
        super().__init__()
        self.tok = nn.Embedding(len(CHORDS), d)
        self.pos = nn.Embedding(context, d)
        self.layers = nn.Sequential(Layer(d), Layer(d))
        self.head = nn.Linear(d, len(CHORDS))

    def forward(self, ids):
        h = self.tok(ids) + self.pos.weight[: ids.shape[1]]
        return self.head(self.layers(h))


def cut(corpus, n, context, g):
    starts = torch.randint(len(corpus) - context - 1, (n,), generator=g)
    rows = torch.stack([corpus[s : s + context + 1] for s in starts])
    return rows[:, :-1], rows[:, 1:]


def nll(model, corpus, args, g):
    x, y = cut(corpus, 200, args.context, g)
    model.eval()
    with torch.no_grad():
        value = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    model.train()
    return value


def main():
    args = parse()
    torch.manual_seed(args.seed)
    g = torch.Generator().manual_seed(args.seed)
    train, held = write_corpus(9000, g), write_corpus(2500, g)
    model = ChordModel(args.width, args.context)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for step in range(1, args.steps + 1):
        x, y = cut(train, args.batch, args.context, g)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(f"{step:4d} train {loss.item():.3f} held {nll(model, held, args, g):.3f}")


if __name__ == "__main__":
    main()
