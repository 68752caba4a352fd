"""Match peak lists of resins with their absorption curves: two towers, nested (Matryoshka) embeddings."""
import math

import torch
from torch import nn
from torch.nn import functional as F

BINS, MOST, PREFIXES = 96, 8, (8, 16, 32, 64)


def make_resins(n, gen):
    """Each resin has 3 to 8 bands; the list gives them in any order, the curve shows them broadened and noisy."""
    count = torch.randint(3, MOST + 1, (n, 1), generator=gen)
    mask = (torch.arange(MOST) < count).float()
    place = torch.rand(n, MOST, generator=gen)
    height = 0.3 + torch.rand(n, MOST, generator=gen)
    width = 0.015 + 0.015 * torch.rand(n, 1, 1, generator=gen)
    grid = torch.linspace(0, 1, BINS)
    bands = torch.exp(-0.5 * ((grid - place.unsqueeze(2)) / width) ** 2)
    curve = torch.einsum("nk,nkb->nb", height * mask, bands)
    gain = torch.exp(0.2 * torch.randn(n, 1, generator=gen))
    slope = 0.3 * torch.randn(n, 1, generator=gen) * (grid - 0.5)
    curve = gain * curve + slope + 0.1 * torch.randn(n, BINS, generator=gen)
    seen = torch.stack([place + 0.01 * torch.randn(n, MOST, generator=gen),
                        height * torch.exp(0.1 * torch.randn(n, MOST, generator=gen))], 2)
    return seen, mask, curve


class PeakTower(nn.Module):
    """Deep set over (place, height) pairs; places become smooth position codes."""

    def __init__(self, hidden=128, dim=64):
        super().__init__()
        self.register_buffer("freq", 2 * math.pi * torch.arange(1, 13) / 2)
        self.each = nn.Sequential(nn.Linear(25, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.after = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, seen, mask):
        angle = seen[..., :1] * self.freq
        h = self.each(torch.cat([angle.sin(), angle.cos(), (seen[..., 1:] - 0.8) / 0.3], -1))
        h = h * mask.unsqueeze(2)
        return self.after(torch.cat([h.sum(1) / math.sqrt(MOST), h.amax(1)], 1))


class CurveTower(nn.Module):
    def __init__(self, channels=32, dim=64):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(1, channels, 7, stride=2, padding=3), nn.ReLU(),
                                  nn.Conv1d(channels, channels, 5, stride=2, padding=2), nn.ReLU())
        self.after = nn.Sequential(nn.Flatten(), nn.Linear(channels * BINS // 4, 128), nn.ReLU(), nn.Linear(128, dim))

    def forward(self, curve):
        return self.after(self.conv(curve.unsqueeze(1)))


def info_nce(a, b, log_scale, prefix):
    a, b = F.normalize(a[:, :prefix], dim=1), F.normalize(b[:, :prefix], dim=1)
    logits = log_scale.exp() * a @ b.T
    own = torch.arange(len(a))
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))


@torch.no_grad()
def top1(peaks, curves, data, prefix):
    peaks.eval()
    curves.eval()
    seen, mask, curve = data
    a, b = F.normalize(peaks(seen, mask)[:, :prefix], dim=1), F.normalize(curves(curve)[:, :prefix], dim=1)
    return ((a @ b.T).argmax(1) == torch.arange(len(a))).float().mean().item()


def main():
    torch.manual_seed(13)
    seen, mask, curve = make_resins(9000, torch.Generator().manual_seed(13))
    mean, std = curve[:8000].mean(), curve[:8000].std()
    curve = (curve - mean) / std
    train = seen[:8000], mask[:8000], curve[:8000]
    val = seen[8000:8400], mask[8000:8400], curve[8000:8400]
    test = seen[8400:], mask[8400:], curve[8400:]

    peaks, curves = PeakTower(), CurveTower()
    log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
    params = [*peaks.parameters(), *curves.parameters()]
    opt = torch.optim.AdamW([{"params": params, "weight_decay": 1e-3},
                             {"params": [log_scale], "weight_decay": 0.0}], lr=2e-3)
    epochs, batch = 12, 200
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 2e-3, total_steps=epochs * len(train[0]) // batch)
    for epoch in range(epochs):
        peaks.train()
        curves.train()
        total = 0.0
        for idx in torch.randperm(len(train[0])).split(batch):
            s, m, c = (part[idx] for part in train)
            prefix = PREFIXES[int(torch.randint(0, len(PREFIXES), ()))]
            loss = info_nce(peaks(s, m), curves(c), log_scale, prefix)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(params, 1.0)
            opt.step()
            sched.step()
            with torch.no_grad():
                log_scale.clamp_(max=math.log(100.0))
            total += loss.item()
        if epoch % 4 == 3:
            print(f"epoch {epoch:2d}  loss {total * batch / len(train[0]):.3f}  scale {log_scale.exp().item():.1f}  "
                  f"val top-1 {top1(peaks, curves, val, 64):.3f}")
    for prefix in PREFIXES:
        print(f"test top-1 among {len(test[0])} with {prefix:2d} numbers: {top1(peaks, curves, test, prefix):.3f}")
    print(f"chance {1 / len(test[0]):.4f}")


if __name__ == "__main__":
    main()
