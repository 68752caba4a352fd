# keep the gondola at the landing stage against wind, REINFORCE with a value baseline
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(4)
np.random.seed(4)

B, STEPS = 48, 30
PUSH = np.array([-1.0, 0.0, 1.0])
UPDATES = 250


class Canal:
    """B gondolas at once: position, speed, wind"""

    def reset(self):
        self.x = np.random.uniform(-2, 2, B)
        self.v = np.zeros(B)
        self.w = np.random.choice([-0.4, 0.4], B) * np.random.uniform(0.5, 1, B)
        return self.obs()

    def obs(self):
        return torch.tensor(np.stack([self.x / 2, self.v, self.w * 2], 1), dtype=torch.float32)

    def step(self, a):
        self.v = 0.85 * self.v + 0.15 * (PUSH[a] + self.w)
        self.x = np.clip(self.x + 0.4 * self.v, -4, 4)
        r = np.exp(-2 * self.x ** 2) - 0.02 * np.abs(PUSH[a])
        return self.obs(), r


def mlp(n_out):
    return nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n_out))


def linear_schedule(initial):
    """straight line from the initial value down to zero"""
    def value(k):
        return initial * max(0.0, 1 - k / UPDATES)
    return value


def rollout(env, pi, greedy=False):
    o = env.reset()
    O, A, R = [], [], []
    for _ in range(STEPS):
        with torch.no_grad():
            z = pi(o)
            a = z.argmax(1) if greedy else torch.distributions.Categorical(logits=z).sample()
        O.append(o)
        A.append(a)
        o, r = env.step(a.numpy())
        R.append(r)
    return torch.stack(O), torch.stack(A), np.stack(R)


def to_go(R, gamma=0.95):
    G = np.zeros_like(R)
    g = np.zeros(B)
    for t in reversed(range(len(R))):
        g = R[t] + gamma * g
        G[t] = g
    return torch.tensor(G, dtype=torch.float32)


env = Canal()
pi, vf = mlp(3), mlp(1)
lr = 5e-3
opt = torch.optim.Adam(list(pi.parameters()) + list(vf.parameters()), lr=lr)
sched = torch.optim.lr_scheduler.LambdaLR(opt, linear_schedule(1.0))

hist = []
for u in range(UPDATES):
    O, A, R = rollout(env, pi)
    G = to_go(R) / 5
    with torch.no_grad():
        adv = G - vf(O).squeeze(-1)
        adv = (adv - adv.mean()) / (adv.std() + 1e-6)

    def closure():
        opt.zero_grad()
        d = torch.distributions.Categorical(logits=pi(O))
        l_pi = -(d.log_prob(A) * adv).mean() - 0.005 * d.entropy().mean()
        l_v = (vf(O).squeeze(-1) - G).pow(2).mean()
        loss = l_pi + 0.5 * l_v
        loss.backward()
        return loss

    loss = opt.step(closure)
    sched.step()
    hist.append(R.sum(0).mean())
    if u % 50 == 49:
        print(f"update {u + 1}  loss {loss.item():.3f}  return {np.mean(hist[-20:]):.2f}")

final = np.mean([rollout(env, pi, greedy=True)[2].sum(0).mean() for _ in range(10)])
print(f"first returns {np.mean(hist[:10]):.2f}")
print(f"greedy return {final:.3f}")
