"""Rewrite dates: 'mar 7 1984' -> '1984-03-07'."""
import random
from typing import Iterable

import torch
import torch.nn as nn
from torch import Tensor

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
CHARS = ["<", ">"] + sorted(set("".join(MONTHS) + "0123456789 -,"))
CODE = {c: i for i, c in enumerate(CHARS)}
N_IN, N_OUT = 12, 10


def pair(rng: random.Random) -> tuple[str, str]:
    y, m, d = rng.randint(1950, 2029), rng.randint(1, 12), rng.randint(1, 28)
    form = rng.choice(["{n} {d}, {y}", "{d} {n} {y}", "{d}-{n} {y}"])
    return form.format(n=MONTHS[m - 1], d=d, y=y).rjust(N_IN), f"{y}-{m:02d}-{d:02d}"


def encode(texts: Iterable[str]) -> Tensor:
    return torch.tensor([[CODE[c] for c in t] for t in texts])


class Attend(nn.Module):
    def __init__(self, d: int):
        super().__init__()
        self.key = nn.Linear(d, d, bias=False)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        w = (query @ self.key(memory).transpose(1, 2) / memory.shape[-1] ** 0.5).softmax(-1)
        return w @ memory


class Rewriter(nn.Module):
    def __init__(self, d: int = 64):
        super().__init__()
        self.emb = nn.Embedding(len(CHARS), 24)
        self.encoder = nn.GRU(24, d // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(24, d, batch_first=True)
        self.attend = Attend(d)
        self.out = nn.Linear(2 * d, len(CHARS))

    def forward(self, source: Tensor, previous: Tensor) -> Tensor:
        memory, last = self.encoder(self.emb(source))
        start = torch.cat([last[0], last[1]], -1).unsqueeze(0)
        h, _ = self.decoder(self.emb(previous), start)
        return self.out(torch.cat([h, self.attend(h, memory)], -1))

    @torch.no_grad()
    def rewrite(self, source: Tensor) -> Tensor:
        made = torch.full((len(source), 1), CODE["<"])
        for _ in range(N_OUT):
            made = torch.cat([made, self(source, made)[:, -1:].argmax(-1)], 1)
        return made[:, 1:]


class Trainer:
    betas = (0.999, 0.9)

    def __init__(self, model: Rewriter, rng: random.Random, lr: float = 4e-3):
        self.model, self.rng = model, rng
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=self.betas)
        self.criterion = nn.CrossEntropyLoss()

    def batch(self, n: int) -> tuple[Tensor, Tensor]:
        sources, targets = zip(*(pair(self.rng) for _ in range(n)))
        return encode(sources), encode(targets)

    def step(self) -> float:
        source, target = self.batch(40)
        start = torch.full((len(target), 1), CODE["<"])
        logits = self.model(source, torch.cat([start, target[:, :-1]], 1))
        loss = self.criterion(logits.flatten(0, 1), target.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def run(self, steps: int) -> None:
        for i in range(1, steps + 1):
            loss = self.step()
            if i % 75 == 0:
                self.model.eval()
                source, target = self.batch(200)
                made = self.model.rewrite(source)
                self.model.train()
                exact = (made == target).all(1).float().mean().item()
                print(f"{i} loss {loss:.3f} characters {(made == target).float().mean():.3f} exact {exact:.3f}")


if __name__ == "__main__":
    torch.manual_seed(8)
    Trainer(Rewriter(), random.Random(8)).run(450)
