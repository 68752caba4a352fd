"""A character model on an endless tape of sums; the tape is read once, nothing is kept."""
import random
from itertools import islice

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

SYMBOLS = "0123456789+=;"
CODE = {c: i for i, c in enumerate(SYMBOLS)}


def tape(rng):
    while True:
        a, b = rng.randint(0, 9), rng.randint(0, 9)
        yield from f"{a}+{b}={a + b:02d};"


class Chunks(IterableDataset):
    """Pieces of the tape that begin anywhere, through a shuffle buffer."""

    def __init__(self, seed, length=36, buffer=64):
        self.seed, self.length, self.buffer = seed, length, buffer

    def pieces(self):
        rng = random.Random(self.seed)
        signs = tape(rng)
        list(islice(signs, rng.randint(0, 6)))
        while True:
            ids = torch.tensor([CODE[c] for c in islice(signs, self.length)])
            yield ids[:-1], ids[1:]

    def __iter__(self):
        rng = random.Random(self.seed + 1)
        source = self.pieces()
        held = list(islice(source, self.buffer))
        for piece in source:
            k = rng.randrange(self.buffer)
            yield held[k]
            held[k] = piece


class CharGRU(nn.Module):
    def __init__(self, dim=32, hidden=96):
        super().__init__()
        self.emb = nn.Embedding(len(SYMBOLS), dim)
        self.gru = nn.GRU(dim, hidden, batch_first=True)
        self.out = nn.Linear(hidden, len(SYMBOLS))

    def forward(self, ids, state=None):
        h, state = self.gru(self.emb(ids), state)
        return self.out(h), state


@torch.no_grad()
def solved(model):
    """Continue "a+b=" by two signs, for all a and b, after a warm-up sum."""
    model.eval()
    right = 0
    prompts = [(a, b) for a in range(10) for b in range(10)]
    ids = torch.tensor([[CODE[c] for c in f"3+4=07;{a}+{b}="] for a, b in prompts])
    logits, state = model(ids)
    tens = logits[:, -1].argmax(-1)
    logits, _ = model(tens[:, None], state)
    ones = logits[:, -1].argmax(-1)
    for (a, b), t, o in zip(prompts, tens.tolist(), ones.tolist()):
        right += f"{a + b:02d}" == SYMBOLS[t] + SYMBOLS[o]
    model.train()
    return right / len(prompts)


def main(steps=360):
    random.seed(19)
    torch.manual_seed(19)
    loader = DataLoader(Chunks(seed=random.randrange(10**6)), batch_size=32)
    model = CharGRU()
    opt = torch.optim.Adam(model.parameters(), lr=6e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=steps, eta_min=3e-4)
    for step, (x, y) in enumerate(islice(loader, steps), start=1):
        logits, _ = model(x)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        schedule.step()
        if step % 60 == 0:
            print(f"step {step} loss {loss.item():.3f} sums right {solved(model):.2f}")


if __name__ == "__main__":
    main()
