"""Number of axles of a passing wagon from the vibration of the rail (bidirectional GRU)."""
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

CLASSES = (2, 3, 4, 6)


class Passage(NamedTuple):
    signal: Tensor  # batch x time x 2
    kind: Tensor


def record(n: int, length: int, gen: torch.Generator) -> Passage:
    kind = torch.randint(len(CLASSES), (n,), generator=gen)
    t = torch.arange(length).float()
    trace = 0.25 * torch.randn(n, length, 2, generator=gen)
    for i, k in enumerate(kind.tolist()):
        axles = CLASSES[k]
        start = 3 + 5 * torch.rand(1, generator=gen)
        gaps = 5.0 + 2.0 * torch.rand(axles, generator=gen)
        at = start + gaps.cumsum(0) - gaps[0]
        hits = torch.exp(-((t[:, None] - at) / 1.2) ** 2).sum(1)
        trace[i, :, 0] += hits
        trace[i, :, 1] += 0.5 * torch.roll(hits, 2)
    return Passage(trace, kind)


class AxleCounter(nn.Module):
    def __init__(self, hidden: int = 24):
        super().__init__()
        self.stem = nn.Conv1d(2, 16, 5, padding=2)
        self.rnn = nn.GRU(16, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, len(CLASSES))

    def forward(self, signal: Tensor) -> Tensor:
        h = F.relu(self.stem(signal.transpose(1, 2))).transpose(1, 2)
        _, last = self.rnn(h)
        return self.head(last.reshape(len(signal), -1))


class Experiment:
    def __init__(self, seed: int = 53):
        torch.manual_seed(seed)
        gen = torch.Generator().manual_seed(seed)
        self.train_data = record(1200, 48, gen)
        self.test_data = record(400, 48, gen)
        self.net = AxleCounter()
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=5e-3)

    def epoch(self) -> float:
        self.net.train()
        losses = []
        for pick in torch.randperm(len(self.train_data.kind)).split(40):
            loss = F.cross_entropy(self.net(self.train_data.signal[pick]), self.train_data.kind[pick])
            self.opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.opt.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    @torch.no_grad()
    def accuracy(self) -> float:
        self.net.eval()
        return (self.net(self.test_data.signal).argmax(1) == self.test_data.kind).float().mean().item()

    def run(self, epochs: int = 9) -> None:
        for e in range(epochs):
            print(f"epoch {e} loss {self.epoch():.4f} accuracy {self.accuracy():.3f}")


if __name__ == "__main__":
    Experiment().run()
