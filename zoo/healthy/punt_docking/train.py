"""Soft actor-critic brings a punt to its jetty against a cross-stream."""
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

HORIZON, BOATS = 50, 16


class River:
    """A batch of punts; state is (distance, speed, stream).  The trip is cut off at HORIZON, never ended."""

    def __init__(self, boats, seed):
        self.gen = torch.Generator().manual_seed(seed)
        self.boats = boats
        self.reset()

    def reset(self):
        u = torch.rand(self.boats, 3, generator=self.gen) * 2 - 1
        self.state = torch.stack([2.0 * u[:, 0], 0.5 * u[:, 1], 0.4 * u[:, 2]], 1)
        return self.state.clone()

    def step(self, push):
        x, v, stream = self.state.unbind(1)
        v = v + 0.15 * (1.5 * push.squeeze(1) + stream) - 0.03 * v
        x = x + 0.15 * v
        self.state = torch.stack([x.clamp(-4, 4), v.clamp(-3, 3), stream], 1)
        reward = -(x ** 2 + 0.1 * v ** 2 + 0.02 * push.squeeze(1) ** 2)
        return self.state.clone(), reward


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, obs):
        mean, log_std = self.body(obs).chunk(2, dim=1)
        std = log_std.clamp(-5, 1).exp()
        raw = mean + std * torch.randn_like(mean)
        push = torch.tanh(raw)
        logp = torch.distributions.Normal(mean, std).log_prob(raw) - 2 * (math.log(2) - raw - F.softplus(-2 * raw))
        return push, logp.squeeze(1), torch.tanh(mean)


class Critics(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.ModuleList(nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
                               for _ in range(2))

    def forward(self, obs, push):
        both = torch.cat([obs, push], 1)
        return torch.stack([q(both).squeeze(1) for q in self.q])


class Logbook:
    """Ring buffer of transitions."""

    def __init__(self, size):
        self.size, self.count = size, 0
        self.obs, self.nxt = torch.zeros(size, 3), torch.zeros(size, 3)
        self.push, self.reward = torch.zeros(size, 1), torch.zeros(size)

    def write(self, obs, push, reward, nxt):
        rows = (self.count + torch.arange(len(obs))) % self.size
        self.obs[rows], self.push[rows], self.reward[rows], self.nxt[rows] = obs, push, reward, nxt
        self.count += len(obs)

    def sample(self, n):
        rows = torch.randint(min(self.count, self.size), (n,))
        return self.obs[rows], self.push[rows], self.reward[rows], self.nxt[rows]


@torch.no_grad()
def trip_return(policy, seed=99, boats=200):
    river = River(boats, seed)
    obs, total = river.state.clone(), torch.zeros(boats)
    for _ in range(HORIZON):
        obs, reward = river.step(policy(obs))
        total += reward
    return total.mean().item()


def main():
    torch.manual_seed(12)
    gamma, tau, batch = 0.97, 0.01, 128
    actor, critics = Actor(), Critics()
    slow = copy.deepcopy(critics).requires_grad_(False)
    log_alpha = torch.zeros((), requires_grad=True)
    opt_actor = torch.optim.Adam(actor.parameters(), lr=1e-3)
    opt_critic = torch.optim.Adam(critics.parameters(), lr=1e-3)
    opt_alpha = torch.optim.Adam([log_alpha], lr=3e-3)
    river, book = River(BOATS, seed=1), Logbook(40_000)
    obs = river.state.clone()
    print(f"random rowing: {trip_return(lambda o: torch.rand(len(o), 1) * 2 - 1):.1f}")
    for step in range(1600):
        with torch.no_grad():
            push = torch.rand(BOATS, 1) * 2 - 1 if step < 100 else actor(obs)[0]
        nxt, reward = river.step(push)
        book.write(obs, push, reward, nxt)
        obs = river.reset() if (step + 1) % HORIZON == 0 else nxt
        if step < 100:
            continue
        s, a, r, s2 = book.sample(batch)
        alpha = log_alpha.exp().detach()
        with torch.no_grad():
            a2, logp2, _ = actor(s2)
            backup = r + gamma * (slow(s2, a2).min(0).values - alpha * logp2)
        critic_loss = (critics(s, a) - backup).pow(2).mean(1).sum()
        opt_critic.zero_grad()
        critic_loss.backward()
        opt_critic.step()

        critics.requires_grad_(False)
        a_new, logp, _ = actor(s)
        actor_loss = (alpha * logp - critics(s, a_new).min(0).values).mean()
        opt_actor.zero_grad()
        actor_loss.backward()
        opt_actor.step()
        critics.requires_grad_(True)

        alpha_loss = -log_alpha * (logp.detach() - 1.0).mean()
        opt_alpha.zero_grad()
        alpha_loss.backward()
        opt_alpha.step()
        with torch.no_grad():
            for old, new in zip(slow.parameters(), critics.parameters()):
                old.lerp_(new, tau)
        if (step + 1) % 200 == 0:
            print(f"step {step + 1}: return {trip_return(lambda o: actor(o)[2]):6.1f}  alpha {log_alpha.exp().item():.3f}")
    print(f"mean return of 200 fresh trips: {trip_return(lambda o: actor(o)[2], seed=7):.1f}")


main()
