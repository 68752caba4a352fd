"""Balance a broom on a cart with REINFORCE (many carts in parallel, numpy physics)."""
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


class Carts:
    LIMIT = 150

    def __init__(self, n, rng):
        self.n, self.rng = n, rng

    def reset(self):
        self.s = self.rng.uniform(-0.05, 0.05, (self.n, 4))
        self.t = 0
        return self.s.copy()

    def step(self, a):
        x, v, th, w = self.s.T
        force = np.where(a == 1, 10.0, -10.0)
        tmp = (force + 0.05 * w ** 2 * np.sin(th)) / 1.1
        acc_th = (9.8 * np.sin(th) - np.cos(th) * tmp) / (0.5 * (4 / 3 - 0.1 * np.cos(th) ** 2 / 1.1))
        acc_x = tmp - 0.05 * acc_th * np.cos(th) / 1.1
        self.s = np.stack([x + 0.02 * v, v + 0.02 * acc_x, th + 0.02 * w, w + 0.02 * acc_th], 1)
        self.t += 1
        fallen = (np.abs(self.s[:, 0]) > 2.4) | (np.abs(self.s[:, 2]) > 0.21)
        return self.s.copy(), np.ones(self.n), fallen


class Policy(nn.Module):
    SCALE = torch.tensor([1.0, 1.0, 10.0, 2.0])

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))

    def forward(self, s):
        return self.net(torch.as_tensor(s, dtype=torch.float32) * self.SCALE)


class Reinforce:
    def __init__(self, n_carts=24, gamma=0.98, lr=5e-3, seed=3):
        self.rng = np.random.default_rng(seed)
        self.env = Carts(n_carts, self.rng)
        self.pi = Policy()
        self.opt = torch.optim.Adam(self.pi.parameters(), lr=lr)
        self.gamma = gamma

    def rollout(self):
        s, alive = self.env.reset(), np.ones(self.env.n, bool)
        states, actions, rewards, masks = [], [], [], []
        while alive.any() and self.env.t < Carts.LIMIT:
            with torch.no_grad():
                a = Categorical(logits=self.pi(s)).sample().numpy()
            s2, r, fallen = self.env.step(a)
            states.append(s), actions.append(a), rewards.append(r * alive), masks.append(alive.copy())
            alive &= ~fallen
            s = s2
        return np.array(states), np.array(actions), np.array(rewards), np.array(masks)

    def update(self):
        S, A, R, M = self.rollout()
        G = np.zeros_like(R)
        acc = np.zeros(self.env.n)
        for t in reversed(range(len(R))):
            acc = R[t] + self.gamma * acc
            G[t] = acc
        m = torch.as_tensor(M)
        g = torch.as_tensor(G, dtype=torch.float32)[m]
        adv = (g - g.mean()) / (g.std() + 1e-6)
        dist = Categorical(logits=self.pi(S[M]))
        loss = -(dist.log_prob(torch.as_tensor(A[M])) * adv).mean() - 0.005 * dist.entropy().mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return R.sum(0).mean()

    def fit(self, iterations):
        for it in range(1, iterations + 1):
            length = self.update()
            if it % 20 == 0:
                print(f"iteration {it:3d}  mean length while sampling {length:.1f}")

    @torch.no_grad()
    def evaluate(self, episodes=20):
        env = Carts(1, np.random.default_rng(1000))
        scores = []
        for _ in range(episodes):
            total = 0.0
            s, done = env.reset(), False
            while not done and env.t < Carts.LIMIT:
                a = self.pi(s).argmax(1).numpy()
                s, r, fallen = env.step(a)
                total += r[0]
                done = bool(fallen[0])
            scores.append(total)
        return np.mean(scores), np.std(scores)


torch.manual_seed(3)
agent = Reinforce()
before, _ = agent.evaluate()
agent.fit(80)
after, spread = agent.evaluate()
print(f"greedy return per episode: untrained {before:.1f}, trained {after:.1f} +- {spread:.1f}")
