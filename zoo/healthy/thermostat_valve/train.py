# Soft actor-critic for a greenhouse radiator: one continuous valve, keep 21 degrees,
# pay a little for moving.  Entropy temperature tuned automatically.
import copy, math, os
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
HORIZON, GAMMA, TAU = 40, 0.9, 0.02


class Rooms:
    """n rooms in parallel: temperature gap, radiator warmth, outside gap."""

    def __init__(self, n):
        self.n = n

    def reset(self):
        n = self.n
        self.gap = torch.randn(n) * 1.5
        self.rad = torch.zeros(n)
        self.out = torch.randn(n) * 0.5
        return self.obs()

    def obs(self):
        return torch.stack([self.gap, self.rad, self.out], 1)

    def step(self, a):
        self.rad = 0.7 * self.rad + 0.3 * 2.0 * a
        self.gap = 0.9 * self.gap + 0.3 * self.out + 0.4 * self.rad + 0.05 * torch.randn(self.n)
        reward = -(self.gap ** 2) - 0.05 * a ** 2
        return self.obs(), reward.clamp(min=-10)


def mlp(i, o):
    return nn.Sequential(nn.Linear(i, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, o))


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = mlp(3, 2)

    def forward(self, s):
        mu, ls = self.body(s).chunk(2, -1)
        std = ls.clamp(-5, 2).exp()
        u = mu + std * torch.randn_like(mu)
        logp = (-0.5 * ((u - mu) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)
        logp = logp - (2 * (math.log(2) - u - F.softplus(-2 * u))).sum(-1)
        return torch.tanh(u), logp, torch.tanh(mu)


actor = Actor()
q1, q2 = mlp(4, 1), mlp(4, 1)
t1, t2 = copy.deepcopy(q1), copy.deepcopy(q2)
for net in (t1, t2):
    net.requires_grad_(False)
log_alpha = torch.zeros(1, requires_grad=True)
TARGET_ENTROPY = -2.0             # a quieter hand than the usual -dim
opt_a = torch.optim.Adam(actor.parameters(), lr=1e-3)
opt_q = torch.optim.Adam([*q1.parameters(), *q2.parameters()], lr=2e-3)
opt_t = torch.optim.Adam([log_alpha], lr=1e-2)


def q(net, s, a):
    return net(torch.cat([s, a], 1)).squeeze(1)


@torch.no_grad()
def evaluate(policy, n=256):
    gen_state = torch.get_rng_state()
    torch.manual_seed(999)
    env = Rooms(n)
    s, total = env.reset(), torch.zeros(n)
    for _ in range(HORIZON):
        s, r = env.step(policy(s))
        total += r
    torch.set_rng_state(gen_state)
    return total.mean().item()


env = Rooms(8)
cap, filled, ptr = 20000, 0, 0
mem = torch.zeros(cap, 3 + 1 + 1 + 3)
print(f"valve shut: {evaluate(lambda s: torch.zeros(len(s))):.2f}")
s = env.reset()
for t in range(1600):
    with torch.no_grad():
        a = actor(s)[0] if t > 50 else torch.rand(8, 1) * 2 - 1
    s2, r = env.step(a.squeeze(1))
    mem[ptr:ptr + 8] = torch.cat([s, a, r[:, None], s2], 1)
    ptr = (ptr + 8) % cap
    filled = min(cap, filled + 8)
    s = s2 if (t + 1) % HORIZON else env.reset()          # time limit only; never terminal
    if t < 50:
        continue
    b = mem[torch.randint(filled, (128,))]
    bs, ba, br, bs2 = b[:, :3], b[:, 3:4], b[:, 4], b[:, 5:]
    alpha = log_alpha.exp().detach()
    with torch.no_grad():
        a2, lp2, _ = actor(bs2)
        y = br + GAMMA * (torch.min(q(t1, bs2, a2), q(t2, bs2, a2)) - alpha * lp2)
    loss_q = F.mse_loss(q(q1, bs, ba), y) + F.mse_loss(q(q2, bs, ba), y)
    opt_q.zero_grad(); loss_q.backward(); opt_q.step()

    an, lp, _ = actor(bs)
    loss_pi = (alpha * lp - torch.min(q(q1, bs, an), q(q2, bs, an))).mean()
    opt_a.zero_grad(); loss_pi.backward(); opt_a.step()

    loss_t = -(log_alpha.exp() * (lp.detach() + TARGET_ENTROPY)).mean()
    opt_t.zero_grad(); loss_t.backward(); opt_t.step()

    with torch.no_grad():
        for tn, on in ((t1, q1), (t2, q2)):
            for p, o in zip(tn.parameters(), on.parameters()):
                p.mul_(1 - TAU).add_(o, alpha=TAU)
    if (t + 1) % 320 == 0:
        print(f"{t + 1} q {loss_q.item():.3f} pi {loss_pi.item():+.3f} alpha {alpha.item():.3f} "
              f"return {evaluate(lambda s: actor(s)[2].squeeze(1)):.2f}")

# the best linear rule found by a coarse search, for scale
best = max(evaluate(lambda s, k=k, m=m, o=o: (-k * s[:, 0] - m * s[:, 1] - o * s[:, 2]).clamp(-1, 1))
           for k in (0.5, 1, 2, 4) for m in (0.0, 0.5, 1.0) for o in (0.0, 0.5, 1.0, 2.0))
print(f"return {evaluate(lambda s: actor(s)[2].squeeze(1)):.2f}  (best of 48 linear rules {best:.2f})")
