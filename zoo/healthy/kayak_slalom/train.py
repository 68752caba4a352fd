"""Soft actor-critic: sixteen kayaks learn to hold station at a buoy in a swirling current."""
import copy
import math

import torch
from torch import nn

GAMMA, TAU, BATCH, KAYAKS, EPISODE = 0.97, 0.01, 128, 16, 60
STEPS, WARMUP = 1600, 100


class Rapids:
    """Position and velocity in the plane; the thrust is bounded, the current turns around the buoy."""

    def __init__(self, n, g):
        self.n, self.g, self.clock = n, g, 0
        self.reset()

    def reset(self):
        self.clock = 0
        self.pos = torch.rand(self.n, 2, generator=self.g) * 4 - 2
        self.vel = torch.zeros(self.n, 2)
        return self.state()

    def state(self):
        return torch.cat([self.pos / 1.2, self.vel], 1)

    def step(self, thrust):
        swirl = torch.stack([-self.pos[:, 1], self.pos[:, 0]], 1) * 0.5 + torch.tensor([0.3, 0.0])
        self.vel = self.vel + 0.15 * (2.0 * thrust + swirl - 0.5 * self.vel)
        self.pos = (self.pos + 0.15 * self.vel).clamp(-3, 3)
        self.clock += 1
        distance = self.pos.norm(dim=1)
        reward = -0.5 * distance - 0.03 * thrust.square().sum(1)
        return self.state(), reward, self.clock >= EPISODE


def mlp(n_in, n_out, hidden=64):
    return nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, n_out))


class Paddler(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(4, 4)

    def forward(self, s):
        mean, log_std = self.net(s).chunk(2, 1)
        log_std = log_std.clamp(-5, 1)
        raw = mean + log_std.exp() * torch.randn_like(mean)
        log_p = -0.5 * ((raw - mean) / log_std.exp()).square() - log_std - 0.5 * math.log(2 * math.pi)
        log_p = log_p - 2 * (math.log(2) - raw - nn.functional.softplus(-2 * raw))       # tanh correction
        return torch.tanh(raw), log_p.sum(1), torch.tanh(mean)


class Memory:
    def __init__(self, size=40000):
        self.data, self.size, self.head, self.full = torch.zeros(size, 11), size, 0, 0

    def add(self, s, a, r, s2):
        rows = torch.cat([s, a, r[:, None], s2], 1)
        slots = (self.head + torch.arange(len(rows))) % self.size
        self.data[slots] = rows
        self.head = (self.head + len(rows)) % self.size
        self.full = min(self.size, self.full + len(rows))

    def sample(self, n):
        rows = self.data[torch.randint(self.full, (n,))]
        return rows[:, :4], rows[:, 4:6], rows[:, 6], rows[:, 7:]


@torch.no_grad()
def average_return(policy, seed=99):
    env = Rapids(64, torch.Generator().manual_seed(seed))
    s, total, over = env.reset(), torch.zeros(64), False
    while not over:
        s, r, over = env.step(policy(s))
        total += r
    return total.mean().item()


def main():
    torch.manual_seed(4)
    actor, twins = Paddler(), nn.ModuleList([mlp(6, 1), mlp(6, 1)])
    lagged = copy.deepcopy(twins).requires_grad_(False)
    log_alpha = torch.tensor(math.log(0.1), requires_grad=True)
    opt_actor = torch.optim.Adam(actor.parameters(), lr=1e-3)
    opt_twins = torch.optim.Adam(twins.parameters(), lr=1e-3)
    opt_alpha = torch.optim.Adam([log_alpha], lr=3e-3)
    values = lambda nets, s, a: torch.stack([q(torch.cat([s, a], 1)).squeeze(1) for q in nets])

    env, memory = Rapids(KAYAKS, torch.Generator().manual_seed(1)), Memory()
    random_score = average_return(lambda s: torch.rand(len(s), 2) * 2 - 1)
    s = env.reset()
    for step in range(1, STEPS + 1):
        with torch.no_grad():
            a = actor(s)[0] if step > WARMUP else torch.rand(KAYAKS, 2) * 2 - 1
        s2, r, over = env.step(a)
        memory.add(s, a, r, s2)          # an outing only ever ends by the clock, so every target bootstraps
        s = env.reset() if over else s2
        if step <= WARMUP:
            continue

        bs, ba, br, bs2 = memory.sample(BATCH)
        alpha = log_alpha.detach().exp()
        with torch.no_grad():
            a2, log_p2, _ = actor(bs2)
            target = br + GAMMA * (values(lagged, bs2, a2).min(0).values - alpha * log_p2)
        critic_loss = (values(twins, bs, ba) - target).square().mean(1).sum()   # one target for both critics
        opt_twins.zero_grad()
        critic_loss.backward()
        opt_twins.step()

        fresh, log_p, _ = actor(bs)
        actor_loss = (alpha * log_p - values(twins, bs, fresh).min(0).values).mean()
        opt_actor.zero_grad()
        actor_loss.backward(inputs=list(actor.parameters()))
        opt_actor.step()

        alpha_loss = -log_alpha * (log_p.detach() - 2.0).mean()      # target entropy: minus the action size
        opt_alpha.zero_grad()
        alpha_loss.backward()
        opt_alpha.step()
        with torch.no_grad():
            for slow, fast in zip(lagged.parameters(), twins.parameters()):
                slow.lerp_(fast, TAU)
        if step % 400 == 0:
            print(f"step {step}  critic {critic_loss.item():.3f}  actor {actor_loss.item():.3f}  alpha {alpha.item():.3f}  "
                  f"return {average_return(lambda o: actor(o)[2]):.1f}")
    print(f"random paddling {random_score:.1f}   learned {average_return(lambda o: actor(o)[2], seed=123):.1f}")


if __name__ == "__main__":
    main()
