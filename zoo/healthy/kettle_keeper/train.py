"""Keep a leaking kettle at a changing temperature: PPO on 64 kettles at once, written with tensors."""
import os

import torch
from torch import nn
from torch.distributions import Normal

CFG = dict(envs=64, horizon=50, iterations=60, epochs=4, minibatch=400, gamma=0.97, lam=0.95, clip=0.2,
           lr=1e-3, entropy=0.001, max_norm=0.5)
SEED = int(os.environ.get("SEED", "0"))


class Kettles:
    """State: temperature, wanted temperature, stored heat of the plate (it lags behind the knob)."""

    def __init__(self, n):
        self.n = n

    def reset(self):
        self.temp = torch.rand(self.n) * 2 - 1
        self.want = torch.rand(self.n) * 2 - 1
        self.plate = torch.zeros(self.n)
        self.t = 0
        return self.obs()

    def obs(self):
        left = torch.full((self.n,), 1 - self.t / CFG["horizon"])
        return torch.stack([self.temp, self.want, self.plate, left], 1)

    def step(self, action):
        knob = action.clamp(-1, 1)
        self.plate = 0.7 * self.plate + 0.3 * knob
        self.temp = self.temp + 0.25 * self.plate - 0.05 * self.temp + 0.02 * torch.randn(self.n)
        jump = torch.rand(self.n) < 0.04
        self.want = torch.where(jump, torch.rand(self.n) * 2 - 1, self.want)
        reward = -(self.temp - self.want).abs() - 0.02 * knob ** 2
        self.t += 1
        return self.obs(), reward, self.t >= CFG["horizon"]


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.critic = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.log_std = nn.Parameter(torch.tensor(-0.5))
        with torch.no_grad():
            self.actor[-1].weight.mul_(0.01)

    def policy(self, obs):
        return Normal(self.actor(obs).squeeze(-1), self.log_std.exp())


@torch.no_grad()
def rollout(agent, env):
    obs, acts, logs, rews, vals = [], [], [], [], []
    o, done = env.reset(), False
    while not done:
        pi = agent.policy(o)
        a = pi.sample()
        obs.append(o), acts.append(a), logs.append(pi.log_prob(a)), vals.append(agent.critic(o).squeeze(-1))
        o, r, done = env.step(a)
        rews.append(r)
    obs, acts, logs, rews, vals = map(torch.stack, (obs, acts, logs, rews, vals))
    adv, run, nxt = torch.zeros_like(rews), torch.zeros(env.n), torch.zeros(env.n)   # the end is a real end
    for t in reversed(range(len(rews))):
        delta = rews[t] + CFG["gamma"] * nxt - vals[t]
        run = delta + CFG["gamma"] * CFG["lam"] * run
        adv[t], nxt = run, vals[t]
    return obs.flatten(0, 1), acts.flatten(), logs.flatten(), adv.flatten(), (adv + vals).flatten(), rews.sum(0).mean()


@torch.no_grad()
def evaluate(act, n=500):
    env = Kettles(n)
    o, done, total = env.reset(), False, 0
    while not done:
        o, r, done = env.step(act(o))
        total = total + r
    return total.mean().item()


torch.manual_seed(SEED)
agent, env = Agent(), Kettles(CFG["envs"])
opt = torch.optim.Adam(agent.parameters(), lr=CFG["lr"])
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.1, CFG["iterations"])
for it in range(CFG["iterations"]):
    obs, acts, old, adv, ret, score = rollout(agent, env)
    for _ in range(CFG["epochs"]):
        for idx in torch.randperm(len(obs)).split(CFG["minibatch"]):
            pi = agent.policy(obs[idx])
            ratio = (pi.log_prob(acts[idx]) - old[idx]).exp()
            a = (adv[idx] - adv[idx].mean()) / (adv[idx].std() + 1e-8)
            policy_loss = -torch.min(ratio * a, ratio.clamp(1 - CFG["clip"], 1 + CFG["clip"]) * a).mean()
            value_loss = 0.5 * (agent.critic(obs[idx]).squeeze(-1) - ret[idx]).pow(2).mean()
            loss = policy_loss + 0.5 * value_loss - CFG["entropy"] * pi.entropy().mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), CFG["max_norm"])
            opt.step()
    sched.step()
    if it % 10 == 0:
        print(f"iteration {it} return {score:.2f} std {agent.log_std.exp().item():.3f}")

hand = evaluate(lambda o: 4.0 * (o[:, 1] - o[:, 0]) - 1.5 * o[:, 2] + 0.2 * o[:, 1])
idle = evaluate(lambda o: torch.zeros(len(o)))
print(f"return: PPO {evaluate(lambda o: agent.actor(o).squeeze(-1)):.2f}  a careful hand rule {hand:.2f}  idle {idle:.2f}")
