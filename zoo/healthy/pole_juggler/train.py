"""Proximal policy optimization on a batch of cart-poles, simulated in torch."""
import math
from types import SimpleNamespace

import torch
from torch import nn
from torch.distributions import Categorical

CFG = SimpleNamespace(envs=32, horizon=64, iterations=32, epochs=5, minibatch=256, gamma=0.99, lam=0.95, clip=0.2,
                      entropy=0.005, value=0.5, lr=1.5e-3, limit=200)


class CartPoles:
    """The classic dynamics (Barto, Sutton & Anderson); an episode ends on a fall or after `limit` steps."""

    def __init__(self, n):
        self.state = torch.empty(n, 4).uniform_(-0.05, 0.05)
        self.age = torch.zeros(n, dtype=torch.long)

    def step(self, action):
        x, v, a, w = self.state.unbind(1)
        force = torch.where(action == 1, 10.0, -10.0)
        sin, cos = torch.sin(a), torch.cos(a)
        temp = (force + 0.05 * w.square() * sin) / 1.1
        acc_a = (9.8 * sin - cos * temp) / (0.5 * (4 / 3 - 0.1 * cos.square() / 1.1))
        acc_x = temp - 0.05 * acc_a * cos / 1.1
        nxt = torch.stack([x + 0.02 * v, v + 0.02 * acc_x, a + 0.02 * w, w + 0.02 * acc_a], 1)
        self.age += 1
        fell = (nxt[:, 0].abs() > 2.4) | (nxt[:, 2].abs() > 12 * math.pi / 180)
        timeout = (self.age >= CFG.limit) & ~fell
        done, length = fell | timeout, self.age.clone()
        self.state = torch.where(done[:, None], torch.empty_like(nxt).uniform_(-0.05, 0.05), nxt)
        self.age[done] = 0
        return nxt, fell, timeout, length


def net(out, gain):
    layers = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, out))
    for layer in layers[::2]:
        nn.init.orthogonal_(layer.weight, math.sqrt(2))
        nn.init.zeros_(layer.bias)
    nn.init.orthogonal_(layers[-1].weight, gain)
    return layers


SCALE = torch.tensor([1.0, 1.0, 8.0, 1.0])      # angles are small numbers


@torch.no_grad()
def rollout(env, actor, critic):
    store = {k: [] for k in ("obs", "act", "logp", "val", "next_val", "done", "fell")}
    finished = []
    for _ in range(CFG.horizon):
        obs = env.state * SCALE
        dist = Categorical(logits=actor(obs))
        act = dist.sample()
        nxt, fell, timeout, length = env.step(act)
        done = fell | timeout
        finished += length[done].tolist()
        row = (obs, act, dist.log_prob(act), critic(obs).squeeze(1), critic(nxt * SCALE).squeeze(1), done, fell)
        for key, value in zip(store, row):
            store[key].append(value)
    return {k: torch.stack(v) for k, v in store.items()}, finished


@torch.no_grad()
def advantages(r):
    """GAE; the value after a time-out is bootstrapped, the value after a fall is zero."""
    delta = 1.0 + CFG.gamma * r["next_val"] * (~r["fell"]) - r["val"]
    adv, last = torch.zeros_like(delta), torch.zeros(CFG.envs)
    for t in reversed(range(CFG.horizon)):
        last = delta[t] + CFG.gamma * CFG.lam * (~r["done"][t]) * last
        adv[t] = last
    return adv, adv + r["val"]


def update(actor, critic, optimizer, r):
    adv, ret = advantages(r)
    flat = [v.flatten(0, 1) for v in (r["obs"], r["act"], r["logp"], adv, ret)]
    for _ in range(CFG.epochs):
        for idx in torch.randperm(len(flat[0])).split(CFG.minibatch):
            obs, act, old, a, target = (v[idx] for v in flat)
            a = (a - a.mean()) / (a.std() + 1e-8)
            dist = Categorical(logits=actor(obs))
            ratio = (dist.log_prob(act) - old).exp()
            policy = -torch.min(ratio * a, ratio.clamp(1 - CFG.clip, 1 + CFG.clip) * a).mean()
            value = nn.functional.smooth_l1_loss(critic(obs).squeeze(1), target)
            loss = policy + CFG.value * value - CFG.entropy * dist.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 0.5)
            optimizer.step()
    return policy.item(), value.item()


@torch.no_grad()
def play(actor, n=64):
    env, alive, score = CartPoles(n), torch.ones(n, dtype=torch.bool), torch.zeros(n)
    for _ in range(CFG.limit):
        _, fell, timeout, _ = env.step(actor(env.state * SCALE).argmax(1))
        score += alive
        alive &= ~(fell | timeout)
    return score.mean().item()


def main():
    torch.manual_seed(4)
    actor, critic = net(2, 0.01), net(1, 1.0)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=CFG.lr, eps=1e-5)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=CFG.iterations)
    env = CartPoles(CFG.envs)
    print(f"before training the greedy policy stands {play(actor):.1f} steps")
    for it in range(CFG.iterations):
        r, finished = rollout(env, actor, critic)
        policy, value = update(actor, critic, optimizer, r)
        decay.step()
        if it % 5 == 4 and finished:
            print(f"iteration {it + 1}: mean episode {sum(finished) / len(finished):.1f}, "
                  f"policy loss {policy:+.4f}, value loss {value:.2f}")
    print(f"after training it stands {play(actor):.1f} of {CFG.limit} steps")


if __name__ == "__main__":
    main()
