"""Soft actor-critic brings an airship to its mast against a steady side wind."""
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

HORIZON, FLEET, GAMMA, TAU = 40, 16, 0.95, 0.01
TARGET_ENTROPY = -1.0


def mlp(n_in, n_out, width=48):
    return nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_out))


def fresh(n, gen):
    place = torch.rand(n, 1, generator=gen) * 4 - 2
    speed = torch.rand(n, 1, generator=gen) - 0.5
    wind = torch.rand(n, 1, generator=gen) * 0.8 - 0.4
    return torch.cat([place, speed, wind], dim=1)


def advance(state, action):
    place, speed, wind = state.split(1, dim=1)
    speed = speed + 0.2 * (1.5 * action + wind - 0.3 * speed)
    place = place + 0.2 * speed
    reward = -(place ** 2 + 0.1 * speed ** 2 + 0.02 * action ** 2)
    return torch.cat([place, speed, wind], dim=1), 0.25 * reward


def draw(actor, state):
    mean, log_std = actor(state).chunk(2, dim=1)
    std = log_std.clamp(-4, 1).exp()
    raw = mean + std * torch.randn_like(mean)
    log_prob = torch.distributions.Normal(mean, std).log_prob(raw)
    log_prob = log_prob - 2 * (math.log(2) - raw - F.softplus(-2 * raw))
    return torch.tanh(raw), log_prob


@torch.no_grad()
def average_return(policy, n=300):
    state, total = fresh(n, torch.Generator().manual_seed(77)), 0.0
    for _ in range(HORIZON):
        state, reward = advance(state, policy(state))
        total += reward.mean().item()
    return total


class Memory:
    def __init__(self, size):
        self.rows, self.size, self.count = torch.zeros(size, 8), size, 0

    def add(self, state, action, reward, nxt):
        rows = torch.cat([state, action, reward, nxt], dim=1)
        where = (self.count + torch.arange(len(rows))) % self.size
        self.rows[where] = rows
        self.count += len(rows)

    def batch(self, n):
        pick = torch.randint(0, min(self.count, self.size), (n,))
        return self.rows[pick].split([3, 1, 1, 3], dim=1)


torch.manual_seed(31)
gen = torch.Generator().manual_seed(31)
actor = mlp(3, 2)
critics = nn.ModuleList([mlp(4, 1), mlp(4, 1)])
slow = copy.deepcopy(critics).requires_grad_(False)
log_alpha = torch.tensor(-2.0, requires_grad=True)
actor_opt = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(critics.parameters(), lr=1e-3)
alpha_opt = torch.optim.Adam([log_alpha], lr=3e-3)
memory = Memory(20_000)

before = average_return(lambda s: torch.tanh(actor(s)[:, :1]))
state, age = fresh(FLEET, gen), 0
for step in range(2400):
    with torch.no_grad():
        action = torch.rand(FLEET, 1) * 2 - 1 if step < 60 else draw(actor, state)[0]
        nxt, reward = advance(state, action)
    memory.add(state, action, reward, nxt)
    state, age = nxt, age + 1
    if age == HORIZON:  # a time limit only: the value goes on beyond it
        state, age = fresh(FLEET, gen), 0
    if step < 60:
        continue

    s, a, r, s2 = memory.batch(128)
    with torch.no_grad():
        a2, logp2 = draw(actor, s2)
        ahead = torch.min(*[q(torch.cat([s2, a2], dim=1)) for q in slow])
        target = r + GAMMA * (ahead - log_alpha.exp() * logp2)
    critic_loss = sum(F.mse_loss(q(torch.cat([s, a], dim=1)), target) for q in critics)
    critic_opt.zero_grad()
    critic_loss.backward()
    critic_opt.step()

    critics.requires_grad_(False)
    new_a, logp = draw(actor, s)
    worth = torch.min(*[q(torch.cat([s, new_a], dim=1)) for q in critics])
    actor_loss = (log_alpha.exp().detach() * logp - worth).mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    critics.requires_grad_(True)

    alpha_loss = -(log_alpha * (logp.detach() + TARGET_ENTROPY).mean())
    alpha_opt.zero_grad()
    alpha_loss.backward()
    alpha_opt.step()

    with torch.no_grad():
        for p, q in zip(slow.parameters(), critics.parameters()):
            p.lerp_(q, TAU)
    if step % 400 == 399:
        value = average_return(lambda st: torch.tanh(actor(st)[:, :1]))
        print(f"step {step + 1}: critic {critic_loss.item():.4f} actor {actor_loss.item():.3f} "
              f"alpha {log_alpha.exp().item():.4f} return {value:.2f}")

drift = average_return(lambda s: torch.zeros(len(s), 1))
after = average_return(lambda s: torch.tanh(actor(s)[:, :1]))
print(f"mean return: untrained {before:.2f}, engines off {drift:.2f}, trained {after:.2f}")
