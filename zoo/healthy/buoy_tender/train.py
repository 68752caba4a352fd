"""Soft actor-critic: two thrusters hold a tender over a buoy in a drifting current."""
import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
BOATS, EPISODE, GAMMA, TAU = 8, 50, 0.95, 0.01


class Harbour:
    """A batch of identical boats; episodes end only by the clock, so values are always bootstrapped."""

    def __init__(self, n, seed):
        self.n, self.gen, self.t = n, torch.Generator().manual_seed(seed), 0

    def reset(self):
        self.pos = 2 * torch.rand(self.n, 2, generator=self.gen) - 1
        self.vel = torch.zeros(self.n, 2)
        self.current = 0.6 * torch.rand(self.n, 2, generator=self.gen) - 0.3
        self.t = 0
        return self.observe()

    def observe(self):
        return torch.cat([self.pos, self.vel, self.current / 0.3], dim=1)

    def step(self, action):
        gust = 0.05 * torch.randn(self.n, 2, generator=self.gen)
        self.vel = 0.85 * self.vel + 0.12 * action + 0.1 * self.current + 0.1 * gust
        self.pos = (self.pos + 0.5 * self.vel).clamp(-2, 2)
        self.t += 1
        reward = -self.pos.norm(dim=1) - 0.05 * action.square().sum(1)
        return self.observe(), reward, self.t == EPISODE


def mlp(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, n_out))


def sample(actor, obs):
    mean, log_std = actor(obs).chunk(2, dim=1)
    dist = torch.distributions.Normal(mean, log_std.clamp(-5, 1).exp())
    u = dist.rsample()
    log_prob = (dist.log_prob(u) - 2 * (np.log(2) - u - F.softplus(-2 * u))).sum(1)
    return torch.tanh(u), log_prob


def both(critics, obs, act):
    z = torch.cat([obs, act], dim=1)
    return torch.cat([c(z) for c in critics], dim=1)


@torch.no_grad()
def evaluate(actor, seed, episodes=64):
    env = Harbour(episodes, seed)
    obs, total, done = env.reset(), torch.zeros(episodes), False
    while not done:
        action = torch.tanh(actor(obs)[:, :2]) if actor is not None else 2 * torch.rand(episodes, 2) - 1
        obs, reward, done = env.step(action)
        total += reward
    return total.mean().item()


actor = mlp(6, 4)
critics = nn.ModuleList([mlp(8, 1), mlp(8, 1)])
targets = copy.deepcopy(critics).requires_grad_(False)
log_alpha = torch.tensor(-2.0, requires_grad=True)
actor_opt = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(critics.parameters(), lr=1e-3)
alpha_opt = torch.optim.Adam([log_alpha], lr=3e-3)


def update(batch):
    obs, act, rew, nxt = batch
    alpha = log_alpha.exp().detach()
    with torch.no_grad():
        next_act, next_lp = sample(actor, nxt)
        backup = rew + GAMMA * (both(targets, nxt, next_act).min(1).values - alpha * next_lp)
    critic_loss = F.mse_loss(both(critics, obs, act), backup.unsqueeze(1).expand(-1, 2))
    critic_opt.zero_grad()
    critic_loss.backward()
    critic_opt.step()

    critics.requires_grad_(False)
    new_act, lp = sample(actor, obs)
    actor_loss = (alpha * lp - both(critics, obs, new_act).min(1).values).mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    critics.requires_grad_(True)

    alpha_loss = -log_alpha * (lp.detach().mean() - 2.0)
    alpha_opt.zero_grad()
    alpha_loss.backward()
    alpha_opt.step()
    with torch.no_grad():
        for slow, fast in zip(targets.parameters(), critics.parameters()):
            slow.lerp_(fast, TAU)
    return critic_loss.item()


env = Harbour(BOATS, seed=1)
STEPS = 1500
memory = [torch.zeros(STEPS * BOATS, k) for k in (6, 2, 1, 6)]
obs, recent, filled = env.reset(), [], 0
for step in range(1, STEPS + 1):
    with torch.no_grad():
        action = sample(actor, obs)[0] if step > 100 else 2 * torch.rand(BOATS, 2) - 1
    nxt, reward, done = env.step(action)
    for m, new in zip(memory, (obs, action, reward.unsqueeze(1), nxt)):
        m[filled:filled + BOATS] = new
    filled += BOATS
    obs = env.reset() if done else nxt
    if step > 100:
        pick = torch.randint(0, filled, (128,))
        o, a, r, n = (m[pick] for m in memory)
        recent.append(update((o, a, r.squeeze(1), n)))
    if step % 300 == 0:
        print(f"step {step}  critic loss {np.mean(recent[-200:]):.4f}  alpha {log_alpha.exp().item():.4f}  "
              f"return {evaluate(actor, seed=100):.2f}")
print(f"final return {evaluate(actor, seed=999):.2f}, random actions {evaluate(None, seed=999):.2f}")
