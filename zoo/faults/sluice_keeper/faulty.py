# Advantage actor-critic for the keeper of a sluice: hold the water of the basin at the mark.
import math
import random

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(11)
np.random.seed(11)
random.seed(11)

CONFIG = dict(episodes=150, horizon=40, gamma=0.9, lr=6e-3, hidden=48, value_coef=0.5, entropy_coef=0.01, mark=0.5)


class Basin:
    OUTFLOW = (0.0, 0.05, 0.12)          # gate shut, half, open

    def __init__(self, mark):
        self.mark = mark

    def reset(self):
        self.level = random.uniform(0.1, 0.9)
        self.phase = random.uniform(0, 2 * math.pi)
        self.t = 0
        return self._obs()

    def _inflow(self):
        return 0.055 + 0.035 * math.sin(0.3 * self.t + self.phase)

    def _obs(self):
        return torch.tensor([4 * (self.level - self.mark), 20 * (self._inflow() - 0.055), 1.0])

    def step(self, gate):
        self.level += self._inflow() - self.OUTFLOW[gate] + random.gauss(0, 0.005)
        self.level = min(max(self.level, 0.0), 1.0)
        self.t += 1
        reward = 1.0 - min(1.0, 4 * abs(self.level - self.mark))
        return self._obs(), reward


class ActorCritic(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.actor = nn.Linear(hidden, 3)
        self.critic = nn.Linear(hidden, 1)

    def forward(self, obs):
        h = self.body(obs)
        return Categorical(logits=self.actor(h)), self.critic(h)


def discounted(rewards, gamma):
    out, running = [], 0.0
    for r in reversed(rewards):
        running = r + gamma * running
        out.append(running)
    out.reverse()
    return torch.tensor(out)


def run_episode(env, net, horizon):
    obs = env.reset()
    log_probs, values, rewards, entropies = [], [], [], []
    for _ in range(horizon):
        dist, value = net(obs.unsqueeze(0))
        action = dist.sample()
        obs, reward = env.step(action.item())
        log_probs.append(dist.log_prob(action))
        values.append(value.squeeze())
        rewards.append(reward)
        entropies.append(dist.entropy())
    return log_probs, values, rewards, entropies


env = Basin(CONFIG["mark"])
net = ActorCritic(CONFIG["hidden"])
optimizer = torch.optim.Adam(net.parameters(), lr=CONFIG["lr"])
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.2, total_iters=CONFIG["episodes"])
running = None

for episode in range(1, CONFIG["episodes"] + 1):
    log_probs, values, rewards, entropies = run_episode(env, net, CONFIG["horizon"])

    returns = discounted(rewards, CONFIG["gamma"])
    values = torch.stack(values)
    log_probs = torch.stack(log_probs)
    entropy = torch.cat(entropies).mean()

    advantage = returns - values.detach()
    policy_loss = -(log_probs * advantage).mean()
    value_loss = nn.functional.mse_loss(values, returns)
    loss = policy_loss + CONFIG["value_coef"] * value_loss - CONFIG["entropy_coef"] * entropy

    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    scheduler.step()

    mean_reward = sum(rewards) / len(rewards)
    running = mean_reward if running is None else 0.95 * running + 0.05 * mean_reward
    if episode % 20 == 0:
        print(f"ep {episode:3d} | reward per hour {running:.3f} | policy {policy_loss.item():+.4f} "
              f"| value {value_loss.item():.4f} | entropy {entropy.item():.3f}")

with torch.no_grad():
    scores = []
    for _ in range(20):
        _, _, rewards, _ = run_episode(env, net, CONFIG["horizon"])
        scores.append(sum(rewards) / len(rewards))
print(f"evaluation reward {np.mean(scores):.3f} (worst day {min(scores):.3f})")
