"""Two voices in one channel are pulled apart by a mask on learned frames; which output is whose does not matter."""
from dataclasses import dataclass
from itertools import permutations

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Setup:
    samples: int = 256
    filters: int = 32
    kernel: int = 8
    width: int = 32
    dilations: tuple = (1, 2, 4, 8)
    steps: int = 180
    batch: int = 24
    lr: float = 4e-3


def voices(n, samples):
    """A low and a high voice with beats of their own, in random order."""
    t = torch.arange(samples) / samples
    out = []
    for low, high in ((6.0, 12.0), (30.0, 50.0)):
        f = low + (high - low) * torch.rand(n, 1)
        beat = 1 + 0.7 * torch.sin(2 * torch.pi * (1 + 2 * torch.rand(n, 1)) * t + 6.3 * torch.rand(n, 1))
        out.append(beat * torch.sin(2 * torch.pi * f * t + 6.3 * torch.rand(n, 1)))
    both = torch.stack(out, 1)
    swap = torch.rand(n) < 0.5
    both[swap] = both[swap].flip(1)
    return both - both.mean(-1, keepdim=True)


class Layer(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(c, 2 * c, 1), nn.PReLU(), nn.GroupNorm(1, 2 * c),
            nn.Conv1d(2 * c, 2 * c, 3, padding=dilation, dilation=dilation, groups=2 * c),
            nn.PReLU(), nn.GroupNorm(1, 2 * c), nn.Conv1d(2 * c, c, 1),
        )  # fmt: skip

    def forward(self, x):
        return x + self.net(x)


class Separator(nn.Module):
    def __init__(self, s: Setup):
        super().__init__()
        self.filters = s.filters
        self.encode = nn.Conv1d(1, s.filters, s.kernel, stride=s.kernel // 2, bias=False)
        self.body = nn.Sequential(
            nn.GroupNorm(1, s.filters), nn.Conv1d(s.filters, s.width, 1), *(Layer(s.width, d) for d in s.dilations),
            nn.PReLU(), nn.Conv1d(s.width, 2 * s.filters, 1),
        )  # fmt: skip
        self.decode = nn.ConvTranspose1d(s.filters, 1, s.kernel, stride=s.kernel // 2, bias=False)

    def forward(self, mix):
        frames = self.encode(mix.unsqueeze(1))
        masks = torch.sigmoid(self.body(frames)).unflatten(1, (2, self.filters))
        parts = (masks * frames.unsqueeze(1)).flatten(0, 1)
        return self.decode(parts).view(len(mix), 2, -1)


def si_snr(guess, truth, eps=1e-8):
    guess = guess - guess.mean(-1, keepdim=True)
    along = (guess * truth).sum(-1, keepdim=True) / (truth.square().sum(-1, keepdim=True) + eps) * truth
    return 10 * torch.log10((along.square().sum(-1) + eps) / ((guess - along).square().sum(-1) + eps))


def best_pairing(guess, truth):
    scores = [si_snr(guess[:, list(p)], truth).mean(1) for p in permutations(range(2))]
    return torch.stack(scores).amax(0)


def main(s: Setup):
    torch.manual_seed(50)
    net = Separator(s)
    opt = torch.optim.Adam(net.parameters(), lr=s.lr)
    test = voices(100, s.samples)
    for step in range(s.steps):
        clean = voices(s.batch, s.samples)
        loss = -best_pairing(net(clean.sum(1)), clean).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        if (step + 1) % 45 == 0:
            with torch.no_grad():
                mix = test.sum(1)
                gain = best_pairing(net(mix), test).mean() - best_pairing(mix[:, None].expand(-1, 2, -1), test).mean()
            print(f"{step + 1} loss {loss.item():.2f} improvement {gain.item():.2f} dB")


if __name__ == "__main__":
    main(Setup())
