"""REINFORCE for a skiff that has to hold its place at a buoy in a current; many skiffs sail at once."""
from dataclasses import dataclass

import torch
from torch import nn
from torch.distributions import Categorical


@dataclass
class Options:
    skiffs: int = 64
    horizon: int = 24
    updates: int = 100
    gamma: float = 0.95
    lr: float = 1e-5
    entropy: float = 0.01
    seed: int = 37


class Bay:
    """Place, speed and current; thrust back, none or forward. The reward is higher the nearer the buoy."""

    def __init__(self, n: int):
        self.n = n

    def reset(self):
        self.place = 4 * torch.rand(self.n) - 2
        self.speed = torch.zeros(self.n)
        self.current = 0.3 * torch.randn(self.n)
        return self.observe()

    def observe(self):
        return torch.stack([self.place / 2, self.speed, self.current], dim=1)

    def step(self, thrust):
        self.speed = 0.7 * self.speed + 0.3 * (thrust.float() - 1) + 0.1 * self.current
        self.place = (self.place + self.speed).clamp(-4, 4)
        return self.observe(), torch.exp(-self.place.abs())


class Agent:
    def __init__(self, opt: Options):
        self.opt = opt
        self.policy = nn.Sequential(nn.Linear(3, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 3))
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=opt.lr)

    def sail(self, bay: Bay):
        logp, rewards, entropies = [], [], []
        state = bay.reset()
        for _ in range(self.opt.horizon):
            dist = Categorical(logits=self.policy(state))
            action = dist.sample()
            state, reward = bay.step(action)
            logp.append(dist.log_prob(action))
            rewards.append(reward)
            entropies.append(dist.entropy())
        return torch.stack(logp), torch.stack(rewards), torch.stack(entropies)

    def returns(self, rewards):
        out, total = torch.empty_like(rewards), torch.zeros(rewards.shape[1])
        for t in reversed(range(len(rewards))):
            total = rewards[t] + self.opt.gamma * total
            out[t] = total
        return out

    def update(self, bay: Bay) -> float:
        logp, rewards, entropy = self.sail(bay)
        ret = self.returns(rewards)
        advantage = (ret - ret.mean(1, keepdim=True)) / (ret.std(1, keepdim=True) + 1e-6)
        loss = -(logp * advantage).mean() - self.opt.entropy * entropy.mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return rewards.mean().item()

    @torch.no_grad()
    def score(self, bay: Bay) -> float:
        state, total = bay.reset(), 0.0
        for _ in range(self.opt.horizon):
            state, reward = bay.step(self.policy(state).argmax(1))
            total += reward.mean().item()
        return total / self.opt.horizon


def main():
    opt = Options()
    torch.manual_seed(opt.seed)
    agent, bay, trial = Agent(opt), Bay(opt.skiffs), Bay(500)
    for update in range(1, opt.updates + 1):
        reward = agent.update(bay)
        if update % 20 == 0:
            print(f"update {update} reward {reward:.3f} greedy {agent.score(trial):.3f}")


main()
