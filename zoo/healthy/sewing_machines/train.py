"""Forward-gradient training: no backward pass at all.

A frozen echo-state reservoir listens to the vibration of sewing machines; a small readout network is trained with
directional derivatives (jvp) along random directions, averaged into an unbiased estimate of the gradient.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call, jvp, vmap

FAULTS = ["sound", "bent needle", "dry bearing", "loose belt"]
STEPS, BATCH, DIRECTIONS = 1200, 100, 24


def vibrations(n, gen):
    t = torch.arange(160) / 160.0
    u = lambda lo, hi: lo + (hi - lo) * torch.rand(n, 1, generator=gen)
    y = torch.randint(0, 4, (n,), generator=gen)
    speed, start = u(9, 15), u(0, 2 * math.pi)
    cycle = 2 * math.pi * speed * t + start
    wave = torch.sin(cycle) + 0.3 * torch.sin(2 * cycle)
    knock = torch.exp(-((cycle % (2 * math.pi)) - math.pi) ** 2 / 0.08) * u(0.9, 1.6)
    rasp = torch.randn(n, 160, generator=gen) * (0.6 + 0.6 * torch.sin(cycle)) * u(0.4, 0.8)
    slip = torch.sin(cycle + 2.5 * torch.sin(2 * math.pi * u(1.5, 3) * t))
    fault = torch.stack([torch.zeros_like(wave), knock, rasp, slip - wave], 0)
    wave = wave + fault[y, torch.arange(n)]
    return u(0.7, 1.3) * (wave + 0.4 * torch.randn(n, 160, generator=gen)), y


def reservoir(waves, gen, size=80, leak=0.6):
    """Fixed random recurrence; returns the mean and the log spread of every unit over time."""
    w = torch.randn(size, size, generator=gen)
    w *= 0.9 / torch.linalg.eigvals(w).abs().max()
    inp, bias = torch.randn(size, generator=gen), 0.4 * torch.randn(size, generator=gen)
    h, states = torch.zeros(len(waves), size), []
    for x in waves.T:
        h = (1 - leak) * h + leak * torch.tanh(h @ w.T + x[:, None] * inp + bias)
        states.append(h)
    s = torch.stack(states[20:])
    return torch.cat([s.mean(0), s.std(0).log(), (s[1:] - s[:-1]).std(0).log()], 1)


def whiten(train, others, keep=24):
    mu = train.mean(0)
    _, sv, v = torch.linalg.svd(train - mu, full_matrices=False)
    proj = v[:keep].T * (len(train) - 1) ** 0.5 / sv[:keep]
    return [(z - mu) @ proj for z in (train, *others)]


class Readout(torch.nn.Module):
    def __init__(self, inputs, hidden=16):
        super().__init__()
        self.a, self.b = torch.nn.Linear(inputs, hidden), torch.nn.Linear(hidden, 4)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def forward_gradient(net, params, x, y):
    """Mean over random v of (dL/dv) v, an unbiased estimate of the gradient."""
    loss = lambda p: F.cross_entropy(functional_call(net, p, x), y)
    v = {k: torch.randn(DIRECTIONS, *p.shape) for k, p in params.items()}
    value, slope = vmap(lambda tangent: jvp(loss, (params,), (tangent,)))(v)
    return value[0], {k: torch.tensordot(slope, d, dims=1) / DIRECTIONS for k, d in v.items()}


@torch.no_grad()
def main():
    torch.manual_seed(77)
    gen = torch.Generator().manual_seed(77)
    sets = [vibrations(n, gen) for n in (2400, 400, 1000)]
    states = reservoir(torch.cat([w for w, _ in sets]), gen).split([2400, 400, 1000])
    xtr, xva, xte = whiten(states[0], states[1:])
    ytr, yva, yte = (y for _, y in sets)

    net = Readout(xtr.shape[1])
    params = dict(net.named_parameters())
    optimizer = torch.optim.Adam(params.values(), lr=4e-3, betas=(0.95, 0.999))
    fade = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=1e-5)
    score = lambda x, y: (net(x).argmax(1) == y).float().mean().item()
    print(f"{sum(p.numel() for p in params.values())} parameters, accuracy before {score(xva, yva):.3f}")

    step, recent = 0, []
    while step < STEPS:
        for pick in torch.randperm(len(xtr)).split(BATCH):
            loss, estimate = forward_gradient(net, {k: p.detach() for k, p in params.items()}, xtr[pick], ytr[pick])
            for k, p in params.items():
                p.grad = estimate[k]
            optimizer.step()
            fade.step()
            recent.append(loss.item())
            step += 1
            if step % 200 == 0:
                print(f"step {step} loss {np.mean(recent[-200:]):.3f} valid {score(xva, yva):.3f}")
            if step == STEPS:
                break
    guess = torch.bincount(yte).max().item() / len(yte)
    print(f"test accuracy {score(xte, yte):.3f} (largest class {guess:.3f}), {', '.join(FAULTS)}")


if __name__ == "__main__":
    main()
