from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


@dataclass
class Config:
    envs: int = 16
    horizon: int = 128
    iterations: int = 18
    epochs: int = 4
    minibatch: int = 512
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    lr: float = 1.5e-3
    entropy: float = 0.005
    value_weight: float = 0.5
    max_grad: float = 0.5
    seed: int = 1


class Poles:
    """Vectorised cart-pole, 200 steps at most."""

    def __init__(self, n, seed):
        self.rng, self.n = np.random.default_rng(seed), n
        self.s = self.rng.uniform(-0.05, 0.05, (n, 4))
        self.t = np.zeros(n, int)

    def step(self, action):
        x, xd, th, thd = self.s.T
        force = np.where(action == 1, 10.0, -10.0)
        tmp = (force + 0.05 * thd**2 * np.sin(th)) / 1.1
        tha = (9.8 * np.sin(th) - np.cos(th) * tmp) / (0.5 * (4 / 3 - 0.1 * np.cos(th) ** 2 / 1.1))
        xa = tmp - 0.05 * tha * np.cos(th) / 1.1
        self.s = np.stack([x + 0.02 * xd, xd + 0.02 * xa, th + 0.02 * thd, thd + 0.02 * tha], 1)
        self.t += 1
        done = (np.abs(self.s[:, 0]) > 2.4) | (np.abs(self.s[:, 2]) > 0.2095) | (self.t >= 200)
        lengths = self.t[done].tolist()
        self.s[done] = self.rng.uniform(-0.05, 0.05, (done.sum(), 4))
        self.t[done] = 0
        return done, lengths


class PPO:
    def __init__(self, cfg: Config):
        torch.manual_seed(cfg.seed)
        self.cfg, self.env = cfg, Poles(cfg.envs, cfg.seed)
        self.body = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.policy, self.value = nn.Linear(64, 2), nn.Linear(64, 1)
        nn.init.orthogonal_(self.policy.weight, 0.01)
        nn.init.zeros_(self.policy.bias)
        self.params = [p for m in (self.body, self.policy, self.value) for p in m.parameters()]
        self.opt = torch.optim.Adam(self.params, lr=cfg.lr, eps=1e-5)

    def act(self, obs):
        h = self.body(obs)
        return Categorical(logits=self.policy(h)), self.value(h).squeeze(-1)

    @torch.no_grad()
    def rollout(self):
        c, rows, lengths = self.cfg, [], []
        for _ in range(c.horizon):
            obs = torch.tensor(self.env.s, dtype=torch.float32)
            dist, v = self.act(obs)
            a = dist.sample()
            done, ended = self.env.step(a.numpy())
            lengths += ended
            rows.append((obs, a, dist.log_prob(a), v, torch.tensor(done, dtype=torch.float32)))
        obs, a, logp, v, done = (torch.stack(col) for col in zip(*rows))
        _, last = self.act(torch.tensor(self.env.s, dtype=torch.float32))
        adv, run = torch.zeros_like(v), torch.zeros(c.envs)
        for t in reversed(range(c.horizon)):
            nxt = last if t == c.horizon - 1 else v[t + 1]
            delta = 0.1 + c.gamma * nxt * (1 - done[t]) - v[t]
            run = delta + c.gamma * c.lam * (1 - done[t]) * run
            adv[t] = run
        flat = [x.flatten(0, 1) for x in (obs, a, logp, adv, adv + v)]
        return flat, lengths

    def update(self, obs, a, old, adv, ret):
        c, log = self.cfg, []
        for _ in range(c.epochs):
            for idx in torch.randperm(len(obs)).split(c.minibatch):
                dist, v = self.act(obs[idx])
                ratio = (dist.log_prob(a[idx]) - old[idx]).exp()
                ad = (adv[idx] - adv[idx].mean()) / (adv[idx].std() + 1e-8)
                surrogate = torch.min(ratio * ad, ratio.clamp(1 - c.clip, 1 + c.clip) * ad).mean()
                value_loss = (v - ret[idx]).pow(2).mean()
                loss = -surrogate + c.value_weight * value_loss - c.entropy * dist.entropy().mean()
                self.opt.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.params, c.max_grad)
                self.opt.step()
                log.append(loss.item())
        return float(np.mean(log))

    def train(self):
        for it in range(1, self.cfg.iterations + 1):
            data, lengths = self.rollout()
            loss = self.update(*data)
            if it % 3 == 0:
                print(f"iter {it} loss {loss:.3f} mean length {np.mean(lengths):.1f}")


PPO(Config()).train()
