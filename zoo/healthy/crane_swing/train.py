"""A crane trolley brings a swinging load to rest at a goal: two critics, delayed policy, smoothed targets."""
import copy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Settings:
    gamma: float = 0.97
    tau: float = 0.01
    batch: int = 128
    lr: float = 1.5e-3
    explore: float = 0.25
    smooth: float = 0.2
    delay: int = 2
    cranes: int = 8
    length: int = 40
    sizes: list[int] = field(default_factory=lambda: [4, 64, 64])


class Cranes:
    """Trolley position relative to the goal and speed, angle of the load and its rate. The action is the force."""

    def __init__(self, n: int):
        self.n = n

    def reset(self) -> Tensor:
        self.s = torch.zeros(self.n, 4)
        self.s[:, 0] = 2 * torch.rand(self.n) - 1
        self.s[:, 2] = 0.3 * torch.randn(self.n)
        return self.s.clone()

    def step(self, a: Tensor) -> tuple[Tensor, Tensor]:
        x, v, th, w = self.s.unbind(1)
        force = 2.0 * a.squeeze(1)
        v = 0.97 * v + 0.1 * force
        w = 0.98 * w + 0.1 * (-3.0 * torch.sin(th) - force * torch.cos(th))
        x, th = x + 0.1 * v, th + 0.1 * w
        self.s = torch.stack([x.clamp(-3, 3), v, th, w], 1)
        cost = x.square().clamp(max=4) + 0.1 * v.square() + 0.3 * th.square() + 0.02 * force.square()
        return self.s.clone(), -cost


def mlp(sizes: list[int], out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], out))


class Agent(nn.Module):
    def __init__(self, c: Settings):
        super().__init__()
        self.actor = nn.Sequential(mlp(c.sizes, 1), nn.Tanh())
        self.q1 = mlp([c.sizes[0] + 1, *c.sizes[1:]], 1)
        self.q2 = mlp([c.sizes[0] + 1, *c.sizes[1:]], 1)


class TD3:
    def __init__(self, c: Settings, seed: int):
        torch.manual_seed(seed)
        self.c, self.env = c, Cranes(c.cranes)
        self.net = Agent(c)
        self.slow = copy.deepcopy(self.net).requires_grad_(False)
        self.opt_actor = torch.optim.Adam(self.net.actor.parameters(), lr=c.lr)
        self.opt_critic = torch.optim.Adam([*self.net.q1.parameters(), *self.net.q2.parameters()], lr=c.lr)
        self.memory: list[Tensor] = []
        self.updates = 0

    def update(self) -> float:
        c, mem = self.c, self.pool
        rows = mem[torch.randint(0, len(mem), (c.batch,))]
        s, a, r, s2 = rows.split([4, 1, 1, 4], 1)
        with torch.no_grad():
            noise = (c.smooth * torch.randn_like(a)).clamp(-0.5, 0.5)
            sa2 = torch.cat([s2, (self.slow.actor(s2) + noise).clamp(-1, 1)], 1)
            target = r + c.gamma * torch.min(self.slow.q1(sa2), self.slow.q2(sa2))
        sa = torch.cat([s, a], 1)
        critic_loss = F.mse_loss(self.net.q1(sa), target) + F.mse_loss(self.net.q2(sa), target)
        self.opt_critic.zero_grad()
        critic_loss.backward()
        self.opt_critic.step()
        self.updates += 1
        if self.updates % c.delay == 0:
            actor_loss = -self.net.q1(torch.cat([s, self.net.actor(s)], 1)).mean()
            self.opt_actor.zero_grad()
            actor_loss.backward()
            self.opt_actor.step()
            with torch.no_grad():
                for p, q in zip(self.slow.parameters(), self.net.parameters()):
                    p.lerp_(q, c.tau * c.delay)
        return critic_loss.item()

    def episode(self, learn: bool) -> float:
        s, losses = self.env.reset(), []
        for _ in range(self.c.length):
            with torch.no_grad():
                a = self.net.actor(s) if learn else 2 * torch.rand(self.c.cranes, 1) - 1
                a = (a + self.c.explore * torch.randn_like(a)).clamp(-1, 1)
            s2, r = self.env.step(a)
            self.memory.append(torch.cat([s, a, r[:, None], s2], 1))
            s = s2
            if learn:
                losses.append(self.update())
        self.pool = torch.cat(self.memory)
        return sum(losses) / max(1, len(losses))

    @torch.no_grad()
    def score(self) -> float:
        env = Cranes(200)
        s, total = env.reset(), 0.0
        for _ in range(self.c.length):
            s, r = env.step(self.net.actor(s))
            total += r.mean().item()
        return total

    def train(self, warmup: int, episodes: int) -> None:
        for _ in range(warmup):
            self.episode(learn=False)
        print(f"untrained policy: return {self.score():.2f}")
        for k in range(1, episodes + 1):
            loss = self.episode(learn=True)
            if k % 5 == 0:
                print(f"episode {k} critic loss {loss:.4f} return {self.score():.2f}")


TD3(Settings(), seed=83).train(warmup=3, episodes=30)
