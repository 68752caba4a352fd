"""Invent plausible daily electricity profiles of tea kitchens with a gradient-penalty critic."""
import copy

import torch
from torch import nn
from torch.nn.functional import leaky_relu, linear

HOURS, NOISE, CRITIC_TURNS, PENALTY = 24, 10, 5, 10.0


def profiles(n, gen):
    t = torch.arange(HOURS).float()

    def u(lo, hi):
        return lo + (hi - lo) * torch.rand(n, 1, generator=gen)

    shop = (torch.rand(n, 1, generator=gen) < 0.4).float()
    morning = u(1.5, 3.0) * torch.exp(-0.5 * ((t - u(6, 9)) / u(0.8, 1.5)) ** 2)
    evening = u(1.0, 2.5) * torch.exp(-0.5 * ((t - u(17, 20)) / u(1.2, 2.2)) ** 2)
    trade = u(1.5, 2.2) * torch.sigmoid(t - u(8, 10)) * torch.sigmoid(u(17, 19) - t)
    return u(0.1, 0.5) + shop * trade + (1 - shop) * (morning + evening) + 0.08 * torch.randn(n, HOURS, generator=gen)


def layer(n_in, n_out):
    weight = torch.randn(n_out, n_in) * (2 / n_in) ** 0.5
    return [weight.requires_grad_(), torch.zeros(n_out, requires_grad=True)]


def network(sizes):
    return [layer(a, b) for a, b in zip(sizes, sizes[1:])]


def apply(net, x):
    for weight, bias in net[:-1]:
        x = leaky_relu(linear(x, weight, bias), 0.2)
    return linear(x, *net[-1])


def weights(net):
    return [p for pair in net for p in pair]


def sliced_distance(a, b, gen, directions=256):
    d = torch.randn(HOURS, directions, generator=gen)
    d = d / d.norm(dim=0)
    return (torch.sort(a @ d, dim=0).values - torch.sort(b @ d, dim=0).values).abs().mean().item()


def main():
    torch.manual_seed(6)
    gen = torch.Generator().manual_seed(60)
    train, held, other = profiles(6000, gen), profiles(2000, gen), profiles(2000, gen)
    mean, std = train.mean(), train.std()
    train, held, other = ((v - mean) / std for v in (train, held, other))
    maker, critic = network([NOISE, 96, 96, HOURS]), network([HOURS, 96, 96, 1])
    average = [[p.detach().clone() for p in pair] for pair in maker]
    untrained = copy.deepcopy(average)
    maker_opt = torch.optim.Adam(weights(maker), lr=5e-4, betas=(0.0, 0.9))
    critic_opt = torch.optim.Adam(weights(critic), lr=5e-4, betas=(0.0, 0.9))
    batch, rounds = 128, 900
    for turn in range(1, rounds + 1):
        for group in (*maker_opt.param_groups, *critic_opt.param_groups):
            group["lr"] = 5e-4 * min(1.0, 2.0 * (1 - (turn - 1) / rounds))
        for _ in range(CRITIC_TURNS):
            real = train[torch.randint(0, len(train), (batch,))]
            with torch.no_grad():
                fake = apply(maker, torch.randn(batch, NOISE))
            between = torch.lerp(fake, real, torch.rand(batch, 1)).requires_grad_()
            slope, = torch.autograd.grad(apply(critic, between).sum(), between, create_graph=True)
            gap = apply(critic, real).mean() - apply(critic, fake).mean()
            critic_loss = -gap + PENALTY * (slope.norm(dim=1) - 1).pow(2).mean()
            critic_opt.zero_grad()
            critic_loss.backward()
            critic_opt.step()
        for p in weights(critic):
            p.requires_grad_(False)
        maker_loss = -apply(critic, apply(maker, torch.randn(batch, NOISE))).mean()
        maker_opt.zero_grad()
        maker_loss.backward()
        maker_opt.step()
        for p in weights(critic):
            p.requires_grad_(True)
        with torch.no_grad():
            for slow, fast in zip(weights(average), weights(maker)):
                slow.lerp_(fast, 0.01)
        if turn % 150 == 0:
            print(f"round {turn}: estimated distance {gap.item():.3f}, critic loss {critic_loss.item():.3f}, maker loss {maker_loss.item():.3f}")
    with torch.no_grad():
        z = torch.randn(2000, NOISE)
        scores = [sliced_distance(v, held, torch.Generator().manual_seed(9)) for v in (apply(untrained, z), apply(average, z), other)]
        spread = apply(average, z).std(0).mean() / held.std(0).mean()
    print("sliced distance to held-out days: untrained {:.3f}, trained {:.3f}, fresh real days {:.3f}".format(*scores))
    print(f"hour-by-hour spread relative to real days: {spread.item():.2f}")


if __name__ == "__main__":
    main()
