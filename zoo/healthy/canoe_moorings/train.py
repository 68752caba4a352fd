"""Soft actor-critic: paddle a canoe to the mooring at the origin against a steady current."""
import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

ENVS, EPISODE, TICKS, GAMMA, TAU, BATCH = 16, 40, 700, 0.95, 0.01, 256


class River:
    """Many canoes side by side; every episode ends by the clock only."""

    def __init__(self, count, seed):
        self.count, self.gen = count, torch.Generator().manual_seed(seed)
        self.reset()

    def reset(self):
        self.pos = 3.0 * torch.rand(self.count, 2, generator=self.gen) - 1.5
        self.vel, self.current = torch.zeros(self.count, 2), 0.6 * torch.rand(self.count, 2, generator=self.gen) - 0.3
        return self.observe()

    def observe(self):
        return torch.cat([self.pos, 2.0 * self.vel, 5.0 * self.current], 1)

    def step(self, action):
        self.vel = 0.8 * self.vel + 0.2 * action
        self.pos = self.pos + 0.15 * (self.vel + self.current)
        reward = -self.pos.norm(dim=1) - 0.05 * action.pow(2).sum(1)
        return self.observe(), reward


def mlp(cin, cout, width=64):
    return nn.Sequential(nn.Linear(cin, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, cout))


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(6, 4)

    def forward(self, obs):
        mean, log_std = self.net(obs).chunk(2, dim=1)
        std = log_std.clamp(-5, 1).exp()
        raw = mean + std * torch.randn_like(std)
        gauss = -0.5 * ((raw - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)
        squash = 2 * (math.log(2) - raw - F.softplus(-2 * raw))
        return torch.tanh(raw), (gauss - squash).sum(1)

    @torch.no_grad()
    def best(self, obs):
        return torch.tanh(self.net(obs)[:, :2])


class TwinCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = mlp(8, 1), mlp(8, 1)

    def forward(self, obs, action):
        x = torch.cat([obs, action], 1)
        return self.a(x).squeeze(1), self.b(x).squeeze(1)


class Replay:
    def __init__(self, size):
        self.store, self.filled = [torch.zeros(size, d) for d in (6, 2, 1, 6)], 0

    def add(self, *parts):
        for store, part in zip(self.store, parts):
            store[self.filled:self.filled + len(part)] = part
        self.filled += len(part)

    def sample(self, n):
        idx = torch.randint(0, self.filled, (n,))
        return [store[idx] for store in self.store]


def descend(opt, loss):
    opt.zero_grad()
    loss.backward()
    opt.step()


def mean_return(policy, seed=999):
    river, total = River(200, seed), 0.0
    obs = river.observe()
    for _ in range(EPISODE):
        obs, reward = river.step(policy(obs))
        total += reward.mean().item()
    return total, river.pos.norm(dim=1).mean().item()


torch.manual_seed(5)
actor, critic = Actor(), TwinCritic()
target = copy.deepcopy(critic).requires_grad_(False)
log_alpha = torch.tensor(-1.5, requires_grad=True)
actor_opt = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-3)
alpha_opt = torch.optim.Adam([log_alpha], lr=2e-3)
replay, river = Replay(TICKS * ENVS), River(ENVS, seed=5)
obs = river.observe()

for tick in range(TICKS):
    with torch.no_grad():
        action = 2 * torch.rand(ENVS, 2) - 1 if tick < 60 else actor(obs)[0]
    after, reward = river.step(action)
    replay.add(obs, action, reward.unsqueeze(1), after)
    obs = river.reset() if (tick + 1) % EPISODE == 0 else after
    if tick < 60:
        continue

    for _ in range(2):
        o, a, r, o2 = replay.sample(BATCH)
        alpha = log_alpha.exp().detach()
        with torch.no_grad():
            a2, logp2 = actor(o2)
            goal = r.squeeze(1) + GAMMA * (torch.min(*target(o2, a2)) - alpha * logp2)
        q1, q2 = critic(o, a)
        critic_loss = F.mse_loss(q1, goal) + F.mse_loss(q2, goal)
        descend(critic_opt, critic_loss)
        critic.requires_grad_(False)
        proposed, logp = actor(o)
        actor_loss = (alpha * logp - torch.min(*critic(o, proposed))).mean()
        descend(actor_opt, actor_loss)
        critic.requires_grad_(True)
        descend(alpha_opt, -(log_alpha * (logp.detach().mean() - 2.0)))

        with torch.no_grad():
            for slow, fast in zip(target.parameters(), critic.parameters()):
                slow.lerp_(fast, TAU)

    if (tick + 1) % 100 == 0:
        print(f"tick {tick + 1}  critic {critic_loss.item():.3f}  actor {actor_loss.item():+.3f}  "
              f"alpha {alpha.item():.3f}  return {mean_return(actor.best)[0]:.2f}")

score, distance = mean_return(actor.best)
idle, _ = mean_return(lambda o: torch.zeros(len(o), 2))
print(f"return {score:.2f} (drifting along: {idle:.2f}), distance to the mooring at the end {distance:.3f}")
