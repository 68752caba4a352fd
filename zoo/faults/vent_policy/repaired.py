"""Policy gradient for the flap of a drying room, which has seven positions."""
from dataclasses import dataclass

import torch
from torch import nn
from torch.distributions import Categorical


@dataclass
class Config:
    rooms: int = 32
    horizon: int = 40
    gamma: float = 0.6
    updates: int = 150
    lr: float = 0.015
    entropy: float = 0.003


class DryingRooms:
    """A set of rooms that run side by side; the humidity drifts, the flap pushes it, the wish changes often."""

    def __init__(self, n: int):
        self.n = n

    def reset(self):
        self.humidity = torch.randn(self.n)
        self.wish = torch.randn(self.n)
        self.drift = 0.15 * torch.randn(self.n)
        return self.observe()

    def observe(self):
        return torch.stack([self.humidity, self.wish, self.drift], dim=1)

    def step(self, action):
        self.humidity = 0.3 * self.humidity + 0.4 * (action - 3) + self.drift + 0.05 * torch.randn(self.n)
        reward = -(self.humidity - self.wish).abs()
        change = torch.rand(self.n) < 0.5
        self.wish = torch.where(change, torch.randn(self.n), self.wish)
        return self.observe(), reward


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 7))

    def forward(self, obs):
        return Categorical(logits=self.body(obs))


def play(policy, env, cfg):
    obs = env.reset()
    log_probs, rewards, entropies = [], [], []
    for _ in range(cfg.horizon):
        dist = policy(obs)
        action = dist.sample()
        log_probs.append(dist.log_prob(action))
        entropies.append(dist.entropy())
        obs, reward = env.step(action)
        rewards.append(reward)
    return torch.stack(log_probs), rewards, torch.stack(entropies)


def discounted(rewards, gamma):
    running = torch.zeros_like(rewards[0])
    returns = []
    for r in reversed(rewards):
        running = r + gamma * running
        returns.insert(0, running)
    return torch.stack(returns)


@torch.no_grad()
def greedy(policy, cfg, rooms=200):
    env = DryingRooms(rooms)
    obs, total = env.reset(), 0.0
    for _ in range(cfg.horizon):
        obs, reward = env.step(policy(obs).probs.argmax(1))
        total += reward.mean().item()
    return total / cfg.horizon


def main(cfg=Config()):
    torch.manual_seed(31)
    policy = Policy()
    opt = torch.optim.Adam(policy.parameters(), lr=cfg.lr)
    env = DryingRooms(cfg.rooms)
    for update in range(1, cfg.updates + 1):
        log_probs, rewards, entropies = play(policy, env, cfg)
        returns = discounted(rewards, cfg.gamma)
        advantage = returns - returns.mean(dim=1, keepdim=True)
        advantage = advantage / (advantage.std() + 1e-8)
        loss = -(log_probs * advantage).mean() - cfg.entropy * entropies.mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if update % 10 == 0:
            print(f"update {update} reward {torch.stack(rewards).mean():.3f} greedy {greedy(policy, cfg):.3f}")


main()
