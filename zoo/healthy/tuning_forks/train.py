"""Every fork sounds in its own way. Learn a start from which a net fits a new fork from ten samples (Reptile)."""
import os
import random

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))


class Fork:
    """One task: a wave with its own loudness and phase."""

    def __init__(self, rng):
        self.rng = rng
        self.loud = rng.uniform(0.5, 3.0)
        self.phase = rng.uniform(0, 1.5)

    def sample(self, n):
        x = self.rng.uniform(-3, 3, (n, 1)).astype(np.float32)
        y = (self.loud * np.sin(1.5 * x + self.phase)).astype(np.float32)
        return torch.from_numpy(x), torch.from_numpy(y)


def build():
    return nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))


def snapshot(model):
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def adapt(model, x, y, steps, lr):
    """Plain gradient descent on one fork."""
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(x), y)
        grads = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), grads):
                p -= lr * g
    return loss.item()


def few_shot_error(model, forks, cfg):
    start = snapshot(model)
    errors = []
    for fork, (xs, ys), (xq, yq) in forks:
        model.load_state_dict(start)
        adapt(model, xs, ys, cfg["test_steps"], cfg["inner_lr"])
        with torch.no_grad():
            errors.append(nn.functional.mse_loss(model(xq), yq).item())
    model.load_state_dict(start)
    return float(np.mean(errors))


def main(cfg):
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    tests = []
    for _ in range(30):
        fork = Fork(rng)
        tests.append((fork, fork.sample(10), fork.sample(50)))
    model = build()
    untrained = few_shot_error(model, tests, cfg)
    print(f"before: error on new forks {untrained:.4f}")

    for it in range(cfg["iterations"]):
        before = snapshot(model)
        fork = Fork(rng)
        x, y = fork.sample(20)
        loss = adapt(model, x, y, cfg["inner_steps"], cfg["inner_lr"])
        # go a part of the way from the old start to where this fork led us
        outer = cfg["outer_lr"] * (1 - it / cfg["iterations"])
        after = model.state_dict()
        model.load_state_dict({k: before[k] + outer * (after[k] - before[k]) for k in before})
        if (it + 1) % 250 == 0:
            print(f"iteration {it + 1}: loss on the last fork {loss:.4f}, error on new forks {few_shot_error(model, tests, cfg):.4f}")

    print(f"few-shot error {few_shot_error(model, tests, cfg):.4f} (untrained start {untrained:.4f})")


if __name__ == "__main__":
    main({"iterations": 1250, "inner_steps": 10, "test_steps": 20, "inner_lr": 0.03, "outer_lr": 0.7})
