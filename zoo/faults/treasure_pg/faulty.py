"""Policy gradient on a one-dimensional walk with two exits."""
import torch
import torch.nn as nn
from torch.distributions import Categorical


class Walk:
    def __init__(self, n=9):
        self.n = n

    def reset(self):
        self.i, self.t = self.n // 2, 0
        return self.obs()

    def obs(self):
        v = torch.zeros(self.n)
        v[self.i] = 1.0
        return v

    def step(self, a):
        self.i += 1 if a == 1 else -1
        self.t += 1
        if self.i == self.n - 1:
            return self.obs(), 1.0, True
        if self.i == 0:
            return self.obs(), 0.1, True
        return self.obs(), -0.01, self.t >= 40


class Policy(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n, 24), nn.Tanh(), nn.Linear(24, 2))

    def forward(self, s):
        return Categorical(logits=self.net(s))


def rollout(env, policy):
    s, over, logps, rewards = env.reset(), False, [], []
    while not over:
        dist = policy(s)
        a = dist.sample()
        s, r, over = env.step(a.item())
        logps.append(dist.log_prob(a))
        rewards.append(r)
    return torch.stack(logps), rewards


def returns(rewards, gamma=0.98):
    g, out = 0.0, []
    for r in reversed(rewards):
        g = r + gamma * g
        out.append(g)
    return torch.tensor(out[::-1])


torch.manual_seed(2)
env, policy = Walk(), Policy(9)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline, recent = 0.0, []
for episode in range(1, 401):
    logps, rewards = rollout(env, policy)
    G = returns(rewards)
    loss = -(logps * (G - baseline)).sum()
    optimizer.zero_grad()
    optimizer.step()
    loss.backward()
    baseline = 0.95 * baseline + 0.05 * G.mean().item()
    recent.append(sum(rewards))
    if episode % 50 == 0:
        print(f"episode {episode} mean return {sum(recent[-50:]) / 50:.3f} loss {loss.item():.3f}")
