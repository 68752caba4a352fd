"""Draw pressure pulses with a small diffusion model; samples come from an average of the weights."""
import copy
import math

import torch
from torch import nn


def pulses(n, gen):
    t = torch.linspace(0, 1, 16)
    at = 0.25 + 0.3 * torch.rand(n, 1, generator=gen)
    width = 0.05 + 0.05 * torch.rand(n, 1, generator=gen)
    height = torch.where(torch.rand(n, 1, generator=gen) < 0.5, 2.5, 1.2)
    wave = height * torch.exp(-(((t - at) / width) ** 2))
    dip = 0.4 * height * torch.exp(-(((t - at - 0.3) / width) ** 2))
    return wave - dip + 0.03 * torch.randn(n, 16, generator=gen)


class Denoiser(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.register_buffer("freqs", torch.exp(torch.linspace(0, math.log(200), 12)))
        self.inp = nn.Linear(16 + 24, width)
        self.mid = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.out = nn.Linear(width, 16)

    def forward(self, x, t):
        angle = t[:, None] * self.freqs
        h = torch.nn.functional.silu(self.inp(torch.cat([x, angle.sin(), angle.cos()], 1)))
        for layer in self.mid:
            h = h + torch.nn.functional.silu(layer(h))
        return self.out(h)


class Diffusion:
    steps = 60

    def __init__(self, data, lr=2e-3, decay=0.99, batch=100):
        self.mean, self.std = data.mean(), data.std()
        self.data = (data - self.mean) / self.std
        s = torch.linspace(0, 1, self.steps + 1)
        bar = torch.cos((s + 0.01) / 1.01 * math.pi / 2) ** 2
        self.bar = (bar / bar[0]).clamp(min=1e-4)
        self.net = Denoiser()
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.opt = torch.optim.Adam(self.net.parameters(), lr=lr)
        self.decay, self.batch = decay, batch

    def loss(self, x):
        k = torch.randint(1, self.steps + 1, (len(x),))
        a = self.bar[k][:, None]
        noise = torch.randn_like(x)
        return ((self.net(a.sqrt() * x + (1 - a).sqrt() * noise, k / self.steps) - noise) ** 2).mean()

    @torch.no_grad()
    def update_average(self):
        for slow, fast in zip(self.average.parameters(), self.net.parameters()):
            slow.lerp_(fast, 1 - self.decay)

    def fit(self, epochs):
        for epoch in range(epochs):
            seen = 0.0
            for idx in torch.randperm(len(self.data)).split(self.batch):
                loss = self.loss(self.data[idx])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                seen += loss.item() * len(idx)
            self.update_average()
            if epoch % 10 == 9:
                print(f"epoch {epoch + 1} noise error {seen / len(self.data):.4f}")

    @torch.no_grad()
    def sample(self, n):
        x = torch.randn(n, 16)
        for k in range(self.steps, 0, -1):
            a, b = self.bar[k], self.bar[k - 1]
            eps = self.average(x, torch.full((n,), k / self.steps))
            x0 = ((x - (1 - a).sqrt() * eps) / a.sqrt()).clamp(-6, 6)
            eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
            x = b.sqrt() * x0 + (1 - b).sqrt() * eps
        return x * self.std + self.mean


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


if __name__ == "__main__":
    torch.manual_seed(44)
    gen = torch.Generator().manual_seed(44)
    train, held_out = pulses(2000, gen), pulses(500, gen)
    model = Diffusion(train)
    model.fit(epochs=50)
    print(f"energy distance of samples to held-out pulses {energy_distance(model.sample(500), held_out):.4f}")
