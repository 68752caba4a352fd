"""Pears fall from a tree, drifting with the wind, and a basket must be under them.  Synchronous advantage actor-critic."""
import os

import torch
from torch import nn
from torch.distributions import Categorical

SEED = int(os.environ.get("SEED", "0"))
HP = dict(envs=16, rollout=20, updates=500, gamma=0.97, lr=2e-3, value=0.5, entropy=0.01, clip=0.5)
WIDTH, HEIGHT = 9, 8


class Orchard:
    """Many gardens side by side.  Action 0, 1, 2: basket left, stay, right.  +1 for a caught pear, -1 for a lost one."""

    def __init__(self, n, generator):
        self.n, self.g = n, generator
        self.basket = self.random(WIDTH)
        self.x, self.y, self.wind = self.random(WIDTH), self.random(HEIGHT), self.random(3) - 1

    def random(self, high):
        return torch.randint(high, (self.n,), generator=self.g)

    def observe(self):
        return torch.stack([self.basket / 4 - 1, self.x / 4 - 1, self.y / 4 - 1,
                            (self.x - self.basket) / 4, self.wind.float()], 1)

    def step(self, action):
        self.basket = (self.basket + action - 1).clamp(0, WIDTH - 1)
        gust = (torch.rand(self.n, generator=self.g) < 0.4).long() * self.wind
        self.x = (self.x + gust).clamp(0, WIDTH - 1)
        self.y = self.y + 1
        done = self.y >= HEIGHT
        reward = done.float() * torch.where(self.x == self.basket, 1.0, -1.0)
        self.x = torch.where(done, self.random(WIDTH), self.x)
        self.wind = torch.where(done, self.random(3) - 1, self.wind)
        self.y = torch.where(done, torch.zeros_like(self.y), self.y)
        return reward, done.float()


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.actor, self.critic = nn.Linear(64, 3), nn.Linear(64, 1)
        nn.init.orthogonal_(self.actor.weight, 0.01)

    def forward(self, obs):
        h = self.body(obs)
        return Categorical(logits=self.actor(h)), self.critic(h).squeeze(-1)


@torch.no_grad()
def play(choose, seed, steps=250):
    env = Orchard(64, torch.Generator().manual_seed(seed))
    caught = fallen = 0.0
    for step in range(steps):
        reward, done = env.step(choose(env))
        if step >= HEIGHT:                                 # the first pears began in the middle of their fall
            caught += (reward > 0).sum().item()
            fallen += done.sum().item()
    return caught / fallen


def main():
    torch.manual_seed(SEED)
    env = Orchard(HP["envs"], torch.Generator().manual_seed(SEED))
    net = ActorCritic()
    opt = torch.optim.Adam(net.parameters(), lr=HP["lr"], eps=1e-5)
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.05, HP["updates"])
    for update in range(HP["updates"]):
        logps, values, entropies, rewards, dones = [], [], [], [], []
        for _ in range(HP["rollout"]):
            dist, value = net(env.observe())
            action = dist.sample()
            reward, done = env.step(action)
            logps.append(dist.log_prob(action))
            values.append(value)
            entropies.append(dist.entropy())
            rewards.append(reward)
            dones.append(done)
        with torch.no_grad():
            ret = net(env.observe())[1]
            returns = []
            for reward, done in zip(reversed(rewards), reversed(dones)):
                ret = reward + HP["gamma"] * ret * (1 - done)
                returns.insert(0, ret)
        returns, values = torch.stack(returns), torch.stack(values)
        advantage = (returns - values).detach()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        policy = -(torch.stack(logps) * advantage).mean()
        critic = (returns - values).pow(2).mean()
        entropy = torch.stack(entropies).mean()
        loss = policy + HP["value"] * critic - HP["entropy"] * entropy
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), HP["clip"])
        opt.step()
        sched.step()
        if update % 100 == 99:
            print(f"update {update + 1} loss {loss.item():+.3f} entropy {entropy.item():.3f} "
                  f"reward a step {torch.stack(rewards).mean().item():+.3f}")
    at_random = play(lambda e: torch.randint(3, (64,), generator=e.g), SEED + 1000)
    chasing = play(lambda e: (e.x - e.basket).sign() + 1, SEED + 1000)
    trained = play(lambda e: net(e.observe())[0].probs.argmax(-1), SEED + 1000)
    print(f"share of pears caught: random basket {at_random:.3f}, always towards the pear {chasing:.3f}, "
          f"trained {trained:.3f} (the last gust cannot be foreseen)")


if __name__ == "__main__":
    main()
