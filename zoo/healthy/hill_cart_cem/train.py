"""Cart in a valley that must swing up to the flag, solved with the cross-entropy method (imitate your own best episodes)."""
from collections import namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

HIDDEN_SIZE = 32
BATCH_SIZE = 40
PERCENTILE = 70
STEPS = 60

Episode = namedtuple("Episode", field_names=["reward", "observations", "actions"])


class Net(nn.Module):
    def __init__(self, obs_size, hidden_size, n_actions):
        super(Net, self).__init__()
        self.net = nn.Sequential(nn.Linear(obs_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, n_actions))

    def forward(self, x):
        return self.net(x)


class Valleys:
    """Many carts at a time, so that the network is called once for all."""

    def __init__(self, n):
        self.pos = np.random.uniform(-0.6, -0.4, n)
        self.speed = np.zeros(n)

    def observe(self):
        return np.stack([self.pos + 0.3, self.speed * 15], axis=1).astype(np.float32)

    def step(self, action):
        self.speed = np.clip(self.speed + 0.006 * (action - 1) - 0.01 * np.cos(3 * self.pos), -0.14, 0.14)
        self.pos = np.clip(self.pos + self.speed, -1.2, 0.5)
        self.speed[self.pos <= -1.2] = 0
        return self.pos >= 0.5


def play(net, n, greedy=False):
    """n episodes; the reward is the highest point, and what is left of the time for those at the flag"""
    env = Valleys(n)
    obs_all, act_all = [], []
    length, highest = np.full(n, STEPS), env.pos.copy()
    for t in range(STEPS):
        obs = env.observe()
        with torch.no_grad():
            probs = torch.softmax(net(torch.from_numpy(obs)), dim=1)
        action = probs.argmax(1) if greedy else torch.multinomial(probs, 1).squeeze(1)
        obs_all.append(obs)
        act_all.append(action.numpy())
        arrived = env.step(action.numpy())
        highest = np.maximum(highest, env.pos)
        length[arrived & (length == STEPS)] = t + 1
    obs_all, act_all = np.stack(obs_all, 1), np.stack(act_all, 1)
    return [Episode(highest[i] + (STEPS - length[i]) / STEPS, obs_all[i, : length[i]], act_all[i, : length[i]]) for i in range(n)]


def filter_batch(batch, percentile):
    rewards = np.array([e.reward for e in batch])
    bound = np.percentile(rewards, percentile)
    elite = [e for e in batch if e.reward >= bound]
    obs = torch.from_numpy(np.concatenate([e.observations for e in elite]))
    act = torch.from_numpy(np.concatenate([e.actions for e in elite]))
    return obs, act, bound, rewards.mean()


if __name__ == "__main__":
    np.random.seed(19)
    torch.manual_seed(19)
    net = Net(2, HIDDEN_SIZE, 3)
    objective = nn.CrossEntropyLoss()
    optimizer = optim.Adam(params=net.parameters(), lr=0.01)
    for iter_no in range(1, 121):
        obs_v, acts_v, reward_b, reward_m = filter_batch(play(net, BATCH_SIZE), PERCENTILE)
        optimizer.zero_grad()
        loss_v = objective(net(obs_v), acts_v)
        loss_v.backward()
        optimizer.step()
        if iter_no % 10 == 0:
            print("%d: loss=%.3f, reward_mean=%.2f, rw_bound=%.2f" % (iter_no, loss_v.item(), reward_m, reward_b))
    print("greedy: reward %.2f" % np.mean([e.reward for e in play(net, 200, greedy=True)]))
