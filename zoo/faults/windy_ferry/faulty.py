"""Steer a ferry across a river with a strong current, advantage actor-critic on many boats at once."""
from collections import namedtuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

Rollout = namedtuple("Rollout", "obs actions logp rewards")

ROWS, BOATS = 12, 48


class River:
    """Each step moves one row forward; the rudder moves the boat sideways, the current pushes it, most in the middle."""

    def reset(self, n):
        self.row = 0
        self.x = 4 * torch.rand(n) - 2
        self.dock = 4 * torch.rand(n) - 2
        return self.observe()

    def observe(self):
        row = torch.full_like(self.x, self.row / ROWS)
        return torch.stack([self.x / 2, self.dock / 2, 2 * row - 1], 1)

    def step(self, action):
        before = (self.x - self.dock).abs()
        current = 0.7 * torch.sin(torch.tensor(torch.pi * (self.row + 0.5) / ROWS))
        self.x = self.x + (action.float() - 1) + current + 0.1 * torch.randn(len(self.x))
        self.row += 1
        reward = before - (self.x - self.dock).abs()
        return self.observe(), reward


class ActorCritic(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.actor = nn.Linear(hidden, 3)
        self.critic = nn.Linear(hidden, 1)

    def forward(self, obs):
        h = self.body(obs)
        return Categorical(logits=self.actor(h)), self.critic(h).squeeze(-1)


@torch.no_grad()
def collect(net, river):
    obs, steps = river.reset(BOATS), []
    for _ in range(ROWS):
        dist, _ = net(obs)
        action = dist.sample()
        after, reward = river.step(action)
        steps.append((obs, action, dist.log_prob(action), reward))
        obs = after
    return Rollout(*(torch.stack(col) for col in zip(*steps)))


def returns(rewards, gamma=0.97):
    out, acc = [], torch.zeros(rewards.shape[1])
    for r in reversed(rewards):
        acc = r + gamma * acc
        out.append(acc)
    return torch.stack(out[::-1])


def update(net, opt, ro):
    ret = returns(ro.rewards)
    dist, value = net(ro.obs)
    adv = ret - value.detach()
    adv = (adv - adv.mean()) / (adv.std() + 1e-6)
    policy_loss = -(ro.logp * adv).mean()
    value_loss = F.mse_loss(value, ret)
    loss = policy_loss + 0.5 * value_loss - 0.01 * dist.entropy().mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    return loss.item()


@torch.no_grad()
def landing_error(net, river, n=500):
    obs = river.reset(n)
    for _ in range(ROWS):
        obs, _ = river.step(net(obs)[0].probs.argmax(1))
    return (river.x - river.dock).abs().mean().item()


if __name__ == "__main__":
    torch.manual_seed(40)
    net, river = ActorCritic(), River()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for it in range(1, 301):
        ro = collect(net, river)
        loss = update(net, opt, ro)
        if it % 50 == 0:
            print(f"it {it} loss {loss:.3f} surprise {-ro.logp.mean():.3f} off the dock {landing_error(net, river):.3f}")
