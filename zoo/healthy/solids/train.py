"""Tell solids by points on their surface: sets of different sizes, padded with NaN."""
import math

import torch
from torch import nn

NAMES = ["sphere", "cube", "cylinder", "ring"]


def surface(kind: int, n: int) -> torch.Tensor:
    if kind == 0:
        p = torch.randn(n, 3)
        p = p / p.norm(dim=1, keepdim=True)
    elif kind == 1:
        p = torch.empty(n, 3).uniform_(-1, 1)
        side = torch.randint(0, 3, (n,))
        p[torch.arange(n), side] = torch.randint(0, 2, (n,)) * 2.0 - 1
        p = p * 0.8
    elif kind == 2:
        a = torch.empty(n).uniform_(0, 2 * math.pi)
        p = torch.stack([0.7 * a.cos(), 0.7 * a.sin(), torch.empty(n).uniform_(-1, 1)], 1)
    else:
        a, b = torch.empty(2, n).uniform_(0, 2 * math.pi)
        r = 0.8 + 0.3 * b.cos()
        p = torch.stack([r * a.cos(), r * a.sin(), 0.3 * b.sin()], 1)
    return p


def spin(points: torch.Tensor) -> torch.Tensor:
    q, _ = torch.linalg.qr(torch.randn(3, 3))
    return points @ q * torch.empty(1).uniform_(0.8, 1.2)


def clouds(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    kinds = torch.randint(0, len(NAMES), (count,))
    sets = [spin(surface(k, int(torch.randint(24, 81, ())))) for k in kinds.tolist()]
    sets = [s + 0.02 * torch.randn_like(s) for s in sets]
    return nn.utils.rnn.pad_sequence(sets, batch_first=True, padding_value=float("nan")), kinds


class SetNet(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(7, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mix = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())
        self.rho = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, len(NAMES)))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        there = ~points.isnan().any(-1, keepdim=True)
        points = points.nan_to_num(0.0)
        size = there.sum(1, keepdim=True)
        centred = (points - points.sum(1, keepdim=True) / size) * there
        radius = centred.norm(dim=-1, keepdim=True)
        h = self.phi(torch.cat([centred, centred.square(), radius], -1)) * there
        whole = (h.sum(1, keepdim=True) / size).expand_as(h)
        h = self.mix(torch.cat([h, whole], -1)) * there
        top = h.masked_fill(~there, float("-inf")).amax(1)
        return self.rho(torch.cat([h.sum(1) / size[:, 0], top], -1))


class Course:
    def __init__(self, net: SetNet, train, test, epochs: int = 18, batch: int = 32):
        self.net, self.train, self.test, self.batch = net, train, test, batch
        self.opt = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=1e-2)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, T_max=epochs, eta_min=1e-5)
        self.loss = nn.CrossEntropyLoss()

    def epoch(self) -> float:
        self.net.train()
        points, kinds = self.train
        total = 0.0
        for pick in torch.randperm(len(kinds)).split(self.batch):
            subset = points[pick]
            subset = subset[:, torch.randperm(subset.shape[1])]
            loss = self.loss(self.net(subset), kinds[pick])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            total += loss.item() * len(pick)
        self.schedule.step()
        return total / len(kinds)

    def score(self) -> float:
        self.net.eval()
        points, kinds = self.test
        with torch.no_grad():
            return (self.net(points).argmax(1) == kinds).float().mean().item()


torch.manual_seed(41)
course = Course(SetNet(), clouds(800), clouds(300))
for n in range(1, 19):
    loss = course.epoch()
    if n % 3 == 0:
        print(f"epoch {n} loss {loss:.3f} named {course.score():.3f}")
