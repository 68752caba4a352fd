"""Soft actor-critic with a learned temperature: park a sliding buggy at the origin of a windy yard."""
import copy
import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

GAMMA, TAU, HORIZON, N_ENVS, BATCH = 0.97, 0.01, 40, 16, 128


class Yard:
    """A batch of independent buggies; episodes are cut (not ended) after HORIZON steps."""

    def __init__(self, n, gen):
        self.n, self.gen = n, gen
        self.pos, self.vel, self.age = torch.zeros(n, 2), torch.zeros(n, 2), torch.zeros(n, dtype=torch.long)
        self.reset(torch.ones(n, dtype=torch.bool))
        self.age = torch.randint(0, HORIZON, (n,), generator=gen)

    def reset(self, who):
        k = int(who.sum())
        self.pos[who] = torch.rand(k, 2, generator=self.gen) * 4 - 2
        self.vel[who] = torch.randn(k, 2, generator=self.gen) * 0.3
        self.age[who] = 0

    def obs(self):
        return torch.cat([self.pos / 1.2, self.vel / 0.6], 1)

    def step(self, action):
        wind = torch.randn(self.n, 2, generator=self.gen) * 0.05
        self.vel = 0.92 * self.vel + 0.25 * action + wind + torch.tensor([0.04, 0.0])
        self.pos = (self.pos + 0.4 * self.vel).clamp(-4, 4)
        reward = -self.pos.norm(dim=1) - 0.1 * action.pow(2).sum(1)
        self.age = self.age + 1
        return self.obs(), reward


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, obs):
        mean, log_std = self.net(obs).chunk(2, -1)
        return mean, log_std.clamp(-5, 1)

    def sample(self, obs):
        mean, log_std = self(obs)
        raw = mean + log_std.exp() * torch.randn_like(mean)
        logp = (-0.5 * ((raw - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
        logp = logp - (2 * (math.log(2) - raw - F.softplus(-2 * raw))).sum(-1)   # tanh change of variables
        return torch.tanh(raw), logp


class TwinQ(nn.Module):
    def __init__(self):
        super().__init__()
        make = lambda: nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        self.a, self.b = make(), make()

    def forward(self, obs, act):
        x = torch.cat([obs, act], -1)
        return self.a(x).squeeze(-1), self.b(x).squeeze(-1)


@torch.no_grad()
def evaluate(policy, seed=999, n=256):
    yard = Yard(n, torch.Generator().manual_seed(seed))
    total = torch.zeros(n)
    for _ in range(HORIZON):
        _, r = yard.step(policy(yard.obs()))
        total += r
    return total.mean().item(), yard.pos.norm(dim=1).median().item()


def update(batch, actor, critic, target, log_alpha, opt_pi, opt_q, opt_alpha):
    obs, act, rew, nxt = batch
    alpha = log_alpha.detach().exp()
    with torch.no_grad():
        a2, logp2 = actor.sample(nxt)
        backup = rew + GAMMA * (torch.min(*target(nxt, a2)) - alpha * logp2)
    q1, q2 = critic(obs, act)
    loss_q = F.mse_loss(q1, backup) + F.mse_loss(q2, backup)
    opt_q.zero_grad()
    loss_q.backward()
    opt_q.step()

    critic.requires_grad_(False)
    a, logp = actor.sample(obs)
    loss_pi = (alpha * logp - torch.min(*critic(obs, a))).mean()
    opt_pi.zero_grad()
    loss_pi.backward()
    opt_pi.step()
    critic.requires_grad_(True)

    loss_alpha = -(log_alpha * (logp.detach() - 2.0)).mean()      # target entropy is -2, one per action dimension
    opt_alpha.zero_grad()
    loss_alpha.backward()
    opt_alpha.step()
    with torch.no_grad():
        for pt, p in zip(target.parameters(), critic.parameters()):
            pt.lerp_(p, TAU)
    return loss_q.item()


def main():
    random.seed(3)
    torch.manual_seed(3)
    yard = Yard(N_ENVS, torch.Generator().manual_seed(3))
    actor, critic = Actor(), TwinQ()
    target = copy.deepcopy(critic).requires_grad_(False)
    log_alpha = torch.tensor(math.log(0.2), requires_grad=True)
    optims = (torch.optim.Adam(actor.parameters(), 1e-3), torch.optim.Adam(critic.parameters(), 1e-3),
              torch.optim.Adam([log_alpha], 3e-3))
    memory = []
    for step in range(2400):
        obs = yard.obs()
        with torch.no_grad():
            act = torch.rand(N_ENVS, 2) * 2 - 1 if step < 60 else actor.sample(obs)[0]
        nxt, rew = yard.step(act)
        memory.extend(zip(obs, act, rew, nxt))
        yard.reset(yard.age >= HORIZON)
        if step >= 60:
            batch = [torch.stack(part) for part in zip(*random.sample(memory, BATCH))]
            loss_q = update(batch, actor, critic, target, log_alpha, *optims)
        if step % 400 == 399:
            score, dist = evaluate(lambda o: torch.tanh(actor(o)[0]))
            print(f"step {step + 1} q loss {loss_q:.3f} alpha {log_alpha.exp().item():.3f} return {score:.1f} distance {dist:.2f}")
    idle, _ = evaluate(lambda o: torch.zeros(len(o), 2))
    print(f"return: trained {score:.1f}, standing still {idle:.1f}; median parking distance {dist:.2f}")


if __name__ == "__main__":
    main()
