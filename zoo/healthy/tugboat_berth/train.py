"""A tugboat comes to rest at its berth.  Soft actor-critic with a learned temperature."""
import copy
import math
import os

import torch
from torch import nn
from torch.nn import functional as F

SEED = int(os.environ.get("SEED", "0"))
GAMMA, TAU, STEPS_PER_EPISODE, BOATS = 0.97, 0.01, 40, 10


class Harbour:
    """Place and speed on a line; thrust in [-1, 1]; a current.  Episodes are cut off, they never end."""

    def reset(self, n):
        self.x = torch.rand(n) * 4 - 2
        self.v = torch.zeros(n)
        self.current = torch.rand(n) * 0.6 - 0.3
        return self.obs()

    def obs(self):
        return torch.stack([self.x, self.v, self.current], 1)

    def step(self, a):
        self.v = 0.9 * self.v + 0.15 * a
        self.x = self.x + 0.3 * self.v + 0.1 * self.current
        return self.obs(), -(self.x.abs().clamp(max=2) + 0.05 * a ** 2)


def mlp(i, o, h=64):
    return nn.Sequential(nn.Linear(i, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, o))


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(3, 2)

    def forward(self, s):
        mean, log_std = self.net(s).chunk(2, 1)
        std = log_std.clamp(-5, 1).exp()
        u = mean + std * torch.randn_like(mean)
        log_p = -0.5 * ((u - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)
        log_p = log_p - 2 * (math.log(2) - u - F.softplus(-2 * u))      # change of variables of tanh
        return torch.tanh(u), log_p.squeeze(1)

    def calm(self, s):
        return torch.tanh(self.net(s)[:, :1])


class Twin(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = mlp(4, 1), mlp(4, 1)

    def forward(self, s, act):
        z = torch.cat([s, act], 1)
        return self.a(z).squeeze(1), self.b(z).squeeze(1)


@torch.no_grad()
def score(rule, n=300):
    env = Harbour()
    s, total = env.reset(n), 0
    for _ in range(STEPS_PER_EPISODE):
        s, r = env.step(rule(s).squeeze(1).clamp(-1, 1))
        total = total + r
    return total.mean().item()


def main():
    torch.manual_seed(SEED)
    actor, critic = Actor(), Twin()
    target = copy.deepcopy(critic).requires_grad_(False)
    log_alpha = torch.zeros((), requires_grad=True)
    opt_a = torch.optim.Adam(actor.parameters(), lr=1e-3)
    opt_c = torch.optim.Adam(critic.parameters(), lr=1e-3)
    opt_t = torch.optim.Adam([log_alpha], lr=2e-3)
    env = Harbour()
    S, A, R, S2 = [torch.zeros(30000, k) for k in (3, 1, 1, 3)]
    n = 0
    for episode in range(65):
        s = env.reset(BOATS)
        for t in range(STEPS_PER_EPISODE):
            with torch.no_grad():
                a = actor(s)[0] if episode >= 3 else torch.rand(BOATS, 1) * 2 - 1
            s2, r = env.step(a.squeeze(1))
            S[n:n + BOATS], A[n:n + BOATS], R[n:n + BOATS], S2[n:n + BOATS] = s, a, r.unsqueeze(1), s2
            n += BOATS
            s = s2
            if episode < 3:
                continue
            i = torch.randint(0, n, (128,))
            alpha = log_alpha.exp().detach()
            with torch.no_grad():
                a2, lp2 = actor(S2[i])
                goal = R[i].squeeze(1) + GAMMA * (torch.min(*target(S2[i], a2)) - alpha * lp2)
            q1, q2 = critic(S[i], A[i])
            critic_loss = F.mse_loss(q1, goal) + F.mse_loss(q2, goal)
            opt_c.zero_grad()
            critic_loss.backward()
            opt_c.step()

            new, lp = actor(S[i])
            actor_loss = (alpha * lp - torch.min(*critic(S[i], new))).mean()
            opt_a.zero_grad()
            actor_loss.backward()
            opt_a.step()

            temp_loss = -(log_alpha * (lp.detach() - 1.0)).mean()       # wanted entropy: -1
            opt_t.zero_grad()
            temp_loss.backward()
            opt_t.step()
            with torch.no_grad():
                for p, q in zip(target.parameters(), critic.parameters()):
                    p.lerp_(q, TAU)
        if episode % 10 == 4:
            print(f"episode {episode} critic {critic_loss.item():.3f} actor {actor_loss.item():.2f} "
                  f"alpha {log_alpha.exp().item():.3f} score {score(actor.calm):.2f}")
    hand = score(lambda s: -(2.5 * s[:, :1] + 3.0 * s[:, 1:2] + 0.25 * s[:, 2:]))
    print(f"score: SAC {score(actor.calm):.2f}  hand rule {hand:.2f}  drifting {score(lambda s: s[:, :1] * 0):.2f}")


if __name__ == "__main__":
    main()
