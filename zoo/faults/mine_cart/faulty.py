import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

N_ENVS, HORIZON, UPDATES = 32, 24, 140
GAMMA, ENT_COEF, VF_COEF = 0.9, 0.01, 0.5


class CartLine:
    """Many carts on a straight rail; each has to stop at its own loading point."""

    def __init__(self, n):
        self.n = n

    def reset(self):
        self.pos = np.random.uniform(-1, 1, self.n)
        self.goal = np.random.uniform(-1, 1, self.n)
        self.vel = np.zeros(self.n)
        return self.observe()

    def observe(self):
        return torch.tensor(np.stack([self.pos - self.goal, self.vel * 4], 1), dtype=torch.float32)

    def step(self, action):
        push = action.numpy() - 1  # back, coast, forward
        self.vel = 0.6 * self.vel + 0.08 * push
        self.pos = np.clip(self.pos + self.vel, -2, 2)
        return self.observe(), torch.tensor(-np.abs(self.pos - self.goal), dtype=torch.float32)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 3))
        self.critic = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 1))

    def forward(self, obs):
        return Categorical(logits=self.actor(obs)), self.critic(obs)


def rollout(env, net):
    obs, all_obs, actions, rewards = env.reset(), [], [], []
    for _ in range(HORIZON):
        with torch.no_grad():
            dist, _ = net(obs)
        act = dist.sample()
        all_obs.append(obs)
        actions.append(act)
        obs, rew = env.step(act)
        rewards.append(rew)
    with torch.no_grad():
        running = net(obs)[1].squeeze(1)
    returns = []
    for rew in reversed(rewards):
        running = rew + GAMMA * running
        returns.insert(0, running)
    total = torch.stack(rewards).sum(0).mean().item()
    # one long batch of transitions; the value head has one output, so the returns get a column as well
    return torch.cat(all_obs), torch.cat(actions), torch.cat(returns).unsqueeze(1), total


@torch.no_grad()
def greedy_return(net, n=300):
    env = CartLine(n)
    obs, total = env.reset(), 0.0
    for _ in range(HORIZON):
        obs, rew = env.step(net(obs)[0].probs.argmax(1))
        total += rew.mean().item()
    return total


net = ActorCritic()
optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
env = CartLine(N_ENVS)
for update in range(UPDATES):
    obs, actions, returns, score = rollout(env, net)
    dist, values = net(obs)
    adv = (returns - values).detach()
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    policy_loss = -(dist.log_prob(actions) * adv).mean()
    value_loss = F.mse_loss(values, returns)
    loss = policy_loss + VF_COEF * value_loss - ENT_COEF * dist.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    optimizer.step()
    if update % 20 == 0:
        print(f"update {update} return {score:.2f} value loss {value_loss.item():.3f}")

print(f"greedy return {greedy_return(net):.3f}")
