"""Keep a pole upright with an evolution strategy: no reward is ever differentiated."""
import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector


class Poles:
    """Many carts with poles at once, each with its own policy."""

    def __init__(self, n: int, gen: torch.Generator):
        self.s = 0.05 * torch.randn(n, 4, generator=gen)
        self.alive = torch.ones(n, dtype=torch.bool)

    def step(self, force: Tensor) -> None:
        x, v, a, w = self.s.unbind(1)
        f = 10 * force.clamp(-1, 1)
        t = (f + 0.05 * w.square() * a.sin()) / 1.1
        acc = (9.8 * a.sin() - a.cos() * t) / (0.5 * (4 / 3 - 0.1 * a.cos().square() / 1.1))
        push = t - 0.05 * acc * a.cos() / 1.1
        self.s = torch.stack([x + 0.02 * v, v + 0.02 * push, a + 0.02 * w, w + 0.02 * acc], 1)
        self.alive &= (self.s[:, 0].abs() < 2.4) & (self.s[:, 2].abs() < 12 * math.pi / 180)


class Policy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("scale", torch.tensor([1.0, 1.0, 8.0, 2.0]))

    def forward(self, s: Tensor) -> Tensor:
        return self.out(s * self.scale).squeeze(-1)


def lifetimes(flat: Tensor, scale: Tensor, gen: torch.Generator, horizon: int = 150) -> Tensor:
    """Steps survived by each row of flat parameters (four weights and a bias)."""
    poles = Poles(len(flat), gen)
    steps = torch.zeros(len(flat))
    for _ in range(horizon):
        poles.step((poles.s * scale * flat[:, :4]).sum(1) + flat[:, 4])
        steps += poles.alive
        if not poles.alive.any():
            break
    return steps


@torch.no_grad()
def evolve(policy: Policy, generations: int = 120, pairs: int = 20, sigma: float = 0.15, lr: float = 0.02) -> None:
    gen = torch.Generator().manual_seed(50)
    optimizer = torch.optim.Adam(policy.parameters(), lr=lr, betas=(0.9, 0.99))
    for g in range(1, generations + 1):
        centre = parameters_to_vector(policy.parameters())
        noise = torch.randn(pairs, len(centre), generator=gen)
        tried = torch.cat([centre + sigma * noise, centre - sigma * noise])
        score = lifetimes(tried, policy.scale, gen)
        rank = score.argsort().argsort().float() / (len(score) - 1) - 0.5
        ascent = (rank[:pairs] - rank[pairs:]) @ noise / (2 * pairs * sigma)
        at = 0
        for p in policy.parameters():
            p.grad = -ascent[at : at + p.numel()].view_as(p)
            at += p.numel()
        optimizer.step()
        if g == 1 or g % 12 == 0:
            now = parameters_to_vector(policy.parameters()).expand(200, -1)
            lived = lifetimes(now, policy.scale, torch.Generator().manual_seed(1))
            print(f"generation {g} tried {score.mean():.1f} policy {lived.mean():.1f} of 150")


if __name__ == "__main__":
    torch.manual_seed(50)
    evolve(Policy())
