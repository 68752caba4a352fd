"""Reinforcement learning without a library is recognized, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Normal

from tests.lab.made import patched


def _net(out: int = 3) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, out))
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def policy_gradient() -> None:
    net, optimizer = _net()
    for _ in range(3):
        logs, rewards, state = [], [], torch.randn(4)
        for _ in range(4):
            chosen = Categorical(logits=net(state))
            action = chosen.sample()
            state = torch.randn(4) + action.item()
            logs.append(chosen.log_prob(action))
            rewards.append(1.0 + action.item())
        _descend(optimizer, -(torch.stack(logs) * torch.tensor(rewards)).sum())


def policy_gradient_by_numbers() -> None:
    """As the examples of PyTorch write it: each log-probability times a return that is a number of Python."""
    net, optimizer = _net()
    for _ in range(3):
        logs, state = [], torch.randn(1, 4)
        for _ in range(4):
            chosen = Categorical(net(state).softmax(1))
            action = chosen.sample()
            state = torch.randn(1, 4) + action.item()
            logs.append(chosen.log_prob(action))
        returns = [1.0 + 0.9 * k for k in range(4)]
        _descend(optimizer, torch.cat([-log * r for log, r in zip(logs, returns)]).sum())


def policy_gradient_of_probabilities() -> None:
    """The network ends with a softmax, and the environment is a computation of tensors."""
    net, optimizer = _net()
    for _ in range(3):
        logs, rewards, states = [], [], torch.randn(6, 4)
        for _ in range(4):
            chosen = Categorical(probs=net(states).softmax(1))
            actions = chosen.sample()
            states = states + torch.eye(3, 4)[actions]
            logs.append(chosen.log_prob(actions))
            rewards.append(states.sum(1))
        returns = torch.stack(rewards).flip(0).cumsum(0).flip(0)
        _descend(optimizer, -(torch.stack(logs) * (returns - returns.mean())).mean())


def _played(net: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """What was seen in an episode, and what was done."""
    seen, done, state = [], [], torch.randn(5, 4)
    for _ in range(4):
        with torch.no_grad():
            action = torch.multinomial(net(state).softmax(1), 1).squeeze(1)
        seen.append(state)
        done.append(action)
        state = torch.randn(5, 4) + torch.from_numpy(action.numpy() * 0.1).float()[:, None]
    return torch.cat(seen), torch.cat(done)


def cross_entropy_method() -> None:
    """The best of its own episodes are imitated."""
    net, optimizer = _net()
    for _ in range(8):
        seen, done = _played(net)
        _descend(optimizer, F.cross_entropy(net(seen[:10]), done[:10]))


def draws_inside_of_the_graph() -> None:
    """Each round draws from outputs that are trained, and writes the draw down."""
    net, optimizer = _net()
    for _ in range(8):
        scores = net(torch.randn(6, 4))
        torch.multinomial(scores.softmax(1), 1).tolist()
        _descend(optimizer, F.cross_entropy(scores, torch.randint(0, 3, (6,))))


def samples_now_and_then() -> None:
    """A classifier that draws from its output in two of eight rounds."""
    net, optimizer = _net()
    for step in range(8):
        if step in (3, 6):
            _played(net)
        _descend(optimizer, F.cross_entropy(net(torch.randn(6, 4)), torch.randint(0, 3, (6,))))


def clipped_ratio() -> None:
    net, optimizer = _net()
    for _ in range(3):
        states = torch.randn(6, 4)
        with torch.no_grad():
            chosen = Categorical(logits=net(states))
            actions = chosen.sample()
            before = chosen.log_prob(actions)
        gains = torch.tensor(actions.numpy() + 0.5)
        ratio = (Categorical(logits=net(states)).log_prob(actions) - before).exp()
        _descend(optimizer, -torch.min(ratio * gains, ratio.clamp(0.8, 1.2) * gains).mean())


def q_learning() -> None:
    net, optimizer = _net()
    for _ in range(3):
        state = torch.randn(4)
        with torch.no_grad():
            action = net(state).argmax().item()
        states, actions = state.expand(6, 4), torch.full((6,), int(action))
        with torch.no_grad():
            goals = 1.0 + 0.9 * net(states + 0.1).max(1).values
        chosen = net(states).gather(1, actions[:, None]).squeeze(1)
        _descend(optimizer, F.smooth_l1_loss(chosen, goals))


def q_learning_by_index() -> None:
    net, optimizer = _net()
    for _ in range(3):
        state = torch.randn(6, 4)
        actions = net(state).argmax(1)
        rewards = torch.tensor([float(a) for a in actions.tolist()])
        goals = rewards + 0.9 * net(state + 0.1).detach().amax(1)
        _descend(optimizer, (net(state)[torch.arange(6), actions] - goals).pow(2).mean())


def classifier() -> None:
    net, optimizer = _net()
    for _ in range(3):
        x, y, weight = torch.randn(6, 4), torch.randint(0, 3, (6,)), torch.rand(6)
        log_p = net(x).log_softmax(1).gather(1, y[:, None]).squeeze(1)
        _descend(optimizer, -(log_p * weight).mean())
        with torch.no_grad():
            print(float((net(x).argmax(1) == y).float().mean()), net(x).argmax(1).tolist())


def text_with_samples_and_weights() -> None:
    """Two terms of log-probabilities, with the weights of a multi-task training, and samples that are printed."""
    net, optimizer = _net()
    for _ in range(3):
        x, y = torch.randn(6, 4), torch.randint(0, 3, (6, 2))
        log_p = net(x).log_softmax(1)
        _descend(optimizer, -sum(w * log_p.gather(1, y[:, i : i + 1]).mean() for i, w in enumerate((0.7, 0.3))))
        with torch.no_grad():
            print(torch.multinomial(net(x).softmax(1), 1)[0].item())


def text_with_samples() -> None:
    net, optimizer = _net()
    for _ in range(3):
        x, y = torch.randn(6, 4), torch.randint(0, 3, (6,))
        _descend(optimizer, F.cross_entropy(net(x), y))
        with torch.no_grad():
            print([torch.multinomial(net(x).softmax(1), 1)[0].item() for _ in range(3)])


def distillation() -> None:
    net, optimizer = _net()
    teacher, _ = _net()
    for _ in range(3):
        x, rows = torch.randn(6, 4), torch.tensor([True, False] * 3)
        with torch.no_grad():
            goal = teacher(x)
        _descend(optimizer, F.mse_loss(net(x)[rows], goal[rows]))


def latent_variables() -> None:
    net, optimizer = _net(4)
    for _ in range(3):
        x = torch.randn(6, 4)
        q = Normal(net(x), 1.0)
        z = q.rsample()
        _descend(optimizer, (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z) + (z - x) ** 2).mean())


LEARN = (
    policy_gradient, policy_gradient_by_numbers, policy_gradient_of_probabilities, clipped_ratio, q_learning, q_learning_by_index, cross_entropy_method,
)  # fmt: skip
OTHERS = (
    draws_inside_of_the_graph,
    samples_now_and_then,
    classifier,
    text_with_samples,
    text_with_samples_and_weights,
    distillation,
    latent_variables,
)


@pytest.mark.parametrize("loop", LEARN, ids=lambda f: f.__name__)
def test_agents_are_recognized(loop: Callable[[], None], tmp_path: Path) -> None:
    assert "reinforcement" in patched(tmp_path, "", loop).run.plan.regimes


@pytest.mark.parametrize("loop", OTHERS, ids=lambda f: f.__name__)
def test_others_are_not(loop: Callable[[], None], tmp_path: Path) -> None:
    assert "reinforcement" not in patched(tmp_path, "", loop).run.plan.regimes
