"""REINFORCE for a mole that digs to its larder (adapted from the CartPole example)."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


class Burrow:
    """5x5 of earth; a larder that lies somewhere; the mole smells the direction of it."""
    moves = [(0, 1), (0, -1), (1, 0), (-1, 0)]

    def reset(self):
        self.mole = [2, 2]
        self.larder = [random.choice([0, 4]), random.choice([0, 4])]
        self.t = 0
        return self.state()

    def state(self):
        m, l = self.mole, self.larder
        return np.array([m[0] / 4, m[1] / 4, np.sign(l[0] - m[0]), np.sign(l[1] - m[1])], dtype=np.float32)

    def step(self, a):
        dx, dy = self.moves[a]
        self.mole = [min(4, max(0, self.mole[0] + dx)), min(4, max(0, self.mole[1] + dy))]
        self.t += 1
        if self.mole == self.larder:
            return self.state(), 1.0, True
        return self.state(), -0.05, self.t >= 16


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 48)
        self.affine2 = nn.Linear(48, 4)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.affine1(x))), dim=1)


policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
env = Burrow()


def select_action(state):
    probs = policy(torch.from_numpy(state).unsqueeze(0))
    m = Categorical(probs)
    action = m.sample()
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item()


def finish_episode(gamma=0.97):
    R, returns, policy_loss = 0.0, [], []
    for r in policy.rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    for log_prob, R in zip(policy.saved_log_probs, returns):
        policy_loss.append(-log_prob * R)
    optimizer.zero_grad()
    loss = torch.cat(policy_loss).sum()
    loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]
    return loss.item()


found = []
for i_episode in range(1, 451):
    state, done = env.reset(), False
    while not done:
        action = select_action(state)
        state, reward, done = env.step(action)
        policy.rewards.append(reward)
    found.append(float(reward > 0))
    loss = finish_episode()
    if i_episode % 50 == 0:
        print(f"Episode {i_episode}\tloss {loss:.2f}\tfound the larder {np.mean(found[-50:]):.2f}")

print("success of the last 150 episodes: %.3f" % np.mean(found[-150:]))
