"""Advantage actor-critic for the winch that holds a measuring buoy at its target depth."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical

torch.manual_seed(17)

DT = 0.1
FORCES = torch.tensor([-1.0, 0.0, 1.0])


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser()
    p.add_argument("--n-envs", type=int, default=64)
    p.add_argument("--rollout", type=int, default=16)
    p.add_argument("--updates", type=int, default=400)
    p.add_argument("--gamma", type=float, default=0.95)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--entropy", type=float, default=0.01)
    return p.parse_args()


def reset(n: int) -> torch.Tensor:
    """State per buoy: depth offset and vertical speed."""
    return torch.stack([torch.empty(n).uniform_(-2, 2), torch.empty(n).uniform_(-0.5, 0.5)], dim=1)


def advance(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    depth, speed = state.unbind(dim=1)
    speed = 0.98 * speed + DT * (2.0 * FORCES[action] + 0.3 * torch.randn(len(state)))
    depth = (depth + DT * speed).clamp(-3, 3)
    speed = torch.where(depth.abs() < 3, speed, torch.zeros_like(speed))
    reward = -0.1 * (depth.abs() + 0.1 * speed.abs())
    return torch.stack([depth, speed], dim=1), reward


def build_model() -> nn.ModuleDict:
    return nn.ModuleDict({
        "trunk": nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()),
        "policy": nn.Linear(64, len(FORCES)),
        "value": nn.Linear(64, 1),
    })


def evaluate_nets(model: nn.ModuleDict, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    features = model["trunk"](state)
    return model["policy"](features), model["value"](features).squeeze(-1)


@torch.no_grad()
def collect(model: nn.ModuleDict, state: torch.Tensor, length: int) -> tuple[dict, torch.Tensor]:
    steps = {"states": [], "actions": [], "logp": [], "rewards": []}
    for _ in range(length):
        logits, _ = evaluate_nets(model, state)
        dist = Categorical(logits=logits)
        action = dist.sample()
        steps["states"].append(state)
        steps["actions"].append(action)
        steps["logp"].append(dist.log_prob(action))
        state, reward = advance(state, action)
        steps["rewards"].append(reward)
    return {name: torch.stack(items) for name, items in steps.items()}, state


@torch.no_grad()
def discounted_returns(model: nn.ModuleDict, rewards: torch.Tensor, last: torch.Tensor, gamma: float) -> torch.Tensor:
    running = evaluate_nets(model, last)[1]
    returns = torch.empty_like(rewards)
    for t in reversed(range(len(rewards))):
        running = rewards[t] + gamma * running
        returns[t] = running
    return returns


def a2c_loss(model: nn.ModuleDict, rollout: dict, returns: torch.Tensor, entropy_coef: float) -> torch.Tensor:
    logits, values = evaluate_nets(model, rollout["states"])
    logp = rollout["logp"]
    advantage = (returns - values).detach()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    policy_loss = -(logp * advantage).mean()
    value_loss = F.smooth_l1_loss(values, returns)
    entropy = Categorical(logits=logits).entropy().mean()
    return policy_loss + 0.5 * value_loss - entropy_coef * entropy


@torch.no_grad()
def episode_reward(model: nn.ModuleDict, n: int = 256, length: int = 100) -> float:
    rollout, _ = collect(model, reset(n), length)
    return rollout["rewards"].sum(0).mean().item()


def main() -> None:
    args = parse_args()
    model = build_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    state = reset(args.n_envs)
    for update in range(1, args.updates + 1):
        rollout, state = collect(model, state, args.rollout)
        returns = discounted_returns(model, rollout["rewards"], state, args.gamma)
        loss = a2c_loss(model, rollout, returns, args.entropy)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if update % 5 == 0:
            state = torch.where(torch.rand(args.n_envs, 1) < 0.25, reset(args.n_envs), state)
        if update % 100 == 0:
            print(f"update {update} loss {loss.item():.4f} rollout reward {rollout['rewards'].mean():.3f}")
    print(f"mean episode reward {episode_reward(model):.4f}")


main()
