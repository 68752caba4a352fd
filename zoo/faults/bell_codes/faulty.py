"""A hand-written RNN that reads a ringing code and has to name the first bell of it."""
import os
import random
from typing import Tuple

import numpy as np
import torch
from torch import Tensor, nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

BELLS = 6
LENGTH = 8


def ring(n: int) -> Tuple[Tensor, Tensor]:
    codes = torch.randint(0, BELLS, (n, LENGTH))
    return codes, codes[:, 0].clone()


class RingReader(nn.Module):
    def __init__(self, hidden: int = 48):
        super().__init__()
        self.hidden = hidden
        self.embed = nn.Embedding(BELLS, 16)
        self.cell = nn.GRUCell(16, hidden)
        self.out = nn.Linear(hidden, BELLS)

    def forward(self, codes: Tensor) -> Tensor:
        h = torch.zeros(codes.size(0), self.hidden)
        x = self.embed(codes)
        for t in range(codes.size(1)):
            # start from the last state (avoids "backward through the graph a second time")
            h = self.cell(x[:, t], h.detach())
        return self.out(h)


class Trainer:
    def __init__(self, model: nn.Module, steps: int = 650, batch: int = 48):
        self.model = model
        self.steps = steps
        self.batch = batch
        self.optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
        self.criterion = nn.CrossEntropyLoss()
        self.test = ring(600)

    def evaluate(self) -> float:
        self.model.eval()
        with torch.no_grad():
            codes, first = self.test
            acc = (self.model(codes).argmax(-1) == first).float().mean().item()
        self.model.train()
        return acc

    def fit(self) -> None:
        smooth = None
        for step in range(1, self.steps + 1):
            codes, first = ring(self.batch)
            loss = self.criterion(self.model(codes), first)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
            if step % 50 == 0:
                print(f"step {step:4d}  loss {smooth:.3f}  accuracy {self.evaluate():.3f}")


trainer = Trainer(RingReader())
trainer.fit()
print(f"accuracy on held-out codes: {trainer.evaluate():.4f}")
