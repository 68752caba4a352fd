"""A small language model of bell-ringing: each line repeats a pattern of bells that steps on at every round."""
import math
import random

import torch
from torch import nn

BELLS = 8
LINE = 24


def ring():
    """A motif of 3 to 5 bells, rung again and again, each time some bells further on."""
    motif = [random.randrange(BELLS) for _ in range(random.randint(3, 5))]
    step = random.choice([0, 1, 2])
    line = []
    while len(line) < LINE + 1:
        line += motif
        motif = [(bell + step) % BELLS for bell in motif]
    return line[: LINE + 1]


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, w = x.shape
        q, k, v = (f(x).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.to_q, self.to_k, self.to_v))
        score = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        past = torch.ones(t, t, dtype=torch.bool).tril()
        score = score * past
        mixed = score.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(b, t, w))


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = SelfAttention(width, heads)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.think(self.norm2(x))


class BellLM(nn.Module):
    def __init__(self, width=48, heads=4, depth=2):
        super().__init__()
        self.bell = nn.Embedding(BELLS, width)
        self.place = nn.Embedding(LINE, width)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.next = nn.Linear(width, BELLS)

    def forward(self, ids):
        h = self.bell(ids) + self.place(torch.arange(ids.shape[1]))
        return self.next(self.norm(self.layers(h)))


@torch.no_grad()
def ring_on(model, lines, given=16):
    """Share of the bells that are right when the model goes on by itself after the first ones."""
    model.eval()
    made = lines[:, :given]
    for _ in range(LINE - given):
        made = torch.cat([made, model(made)[:, -1].argmax(-1, keepdim=True)], 1)
    model.train()
    return (made[:, given:] == lines[:, given:LINE]).float().mean().item()


def main(steps=500, batch=32):
    random.seed(33)
    torch.manual_seed(33)
    unheard = torch.tensor([ring() for _ in range(200)])
    model = BellLM()
    opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    for step in range(1, steps + 1):
        lines = torch.tensor([ring() for _ in range(batch)])
        logits = model(lines[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), lines[:, 1:].flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 100 == 0:
            print(f"step {step} loss {loss.item():.3f} rings on {ring_on(model, unheard):.3f}")


main()
