"""Model-agnostic meta-learning: a tutor that learns any sine from five points (Finn et al. 2017)."""
import math

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

SHOTS, QUERIES, TASKS = 5, 15, 25
INNER_LR, INNER_STEPS = 0.05, 2


class Net(nn.Module):
    def __init__(self, width=40):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
                                    nn.Linear(width, 1))

    def forward(self, x):
        return self.layers(x / 2.5)


def sample_tasks(n, generator):
    amplitude = 0.5 + 2.5 * torch.rand(n, 1, 1, generator=generator)
    phase = math.pi * torch.rand(n, 1, 1, generator=generator)

    def draw(points):
        x = 10 * torch.rand(n, points, 1, generator=generator) - 5
        return x, amplitude * torch.sin(x + phase)
    return draw(SHOTS), draw(QUERIES)


def mse(params, net, x, y):
    return (functional_call(net, params, (x,)) - y).square().mean()


def adapt(params, net, x, y, steps):
    for _ in range(steps):
        grads = grad(mse)(params, net, x, y)
        params = {k: p - INNER_LR * grads[k] for k, p in params.items()}
    return params


def query_loss(params, net, support, query, steps):
    """Mean loss after adaptation, one task per slice of the leading dimension."""
    def one(xs, ys, xq, yq):
        return mse(adapt(params, net, xs, ys, steps), net, xq, yq)
    return vmap(one)(*support, *query)


def evaluate(net, steps, generator_seed=1234, n=400):
    support, query = sample_tasks(n, torch.Generator().manual_seed(generator_seed))
    params = {k: p.detach() for k, p in net.named_parameters()}
    return query_loss(params, net, support, query, steps).mean().item()


def main():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    net = Net()
    iterations = 900
    meta_opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(meta_opt, iterations, eta_min=1e-4)

    print(f"untrained: query loss after {INNER_STEPS} steps {evaluate(net, INNER_STEPS):.3f}")
    running = 0.0
    for it in range(1, iterations + 1):
        support, query = sample_tasks(TASKS, generator)
        params = dict(net.named_parameters())
        loss = query_loss(params, net, support, query, INNER_STEPS).mean()
        meta_opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        meta_opt.step()
        schedule.step()
        running += loss.item()
        if it % 150 == 0:
            print(f"iteration {it}: meta loss {running / 150:.3f}")
            running = 0.0

    before, after, longer = (evaluate(net, s) for s in (0, INNER_STEPS, 10))
    print(f"new sines: no adaptation {before:.3f}, {INNER_STEPS} steps {after:.3f}, 10 steps {longer:.3f}")


if __name__ == "__main__":
    main()
