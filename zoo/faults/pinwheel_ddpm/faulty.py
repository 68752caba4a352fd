import torch
import torch.nn as nn


def pinwheel(n, arms=5):
    """Points on the arms of a pinwheel, about unit variance."""
    r = 0.35 + torch.rand(n) * 1.5
    k = torch.randint(0, arms, (n,))
    angle = 2 * torch.pi * k / arms + 0.6 * r + 0.06 * torch.randn(n)
    return torch.stack([r * angle.cos(), r * angle.sin()], 1)


class Denoiser(nn.Module):
    def __init__(self, steps, hidden=128):
        super().__init__()
        self.t = nn.Embedding(steps, hidden)
        self.inp = nn.Linear(2, hidden)
        self.mid = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(3))
        self.out = nn.Linear(hidden, 2)

    def forward(self, x, t):
        h = self.inp(x) + self.t(t)
        for layer in self.mid:
            h = h + layer(torch.nn.functional.silu(h))
        return self.out(torch.nn.functional.silu(h))


class Averager:
    """Keeps an exponential moving average of the weights and lends it to the model for sampling."""

    def __init__(self, model, decay):
        self.model, self.decay = model, decay
        self.shadow = {k: v.detach().to(torch.bfloat16) for k, v in model.named_parameters()}

    @torch.no_grad()
    def update(self):
        for k, v in self.model.named_parameters():
            s = self.shadow[k]
            s.lerp_(v.detach().to(s.dtype), 1 - self.decay)

    def __enter__(self):
        self.kept = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        self._load(self.shadow)

    def __exit__(self, *exc):
        self._load(self.kept)

    @torch.no_grad()
    def _load(self, values):
        for k, v in self.model.named_parameters():
            v.copy_(values[k])


class Diffusion:
    def __init__(self, steps=50):
        self.steps = steps
        self.beta = torch.linspace(1e-3, 0.2, steps)
        self.abar = torch.cumprod(1 - self.beta, 0)

    def loss(self, net, x):
        t = torch.randint(0, self.steps, (len(x),))
        eps = torch.randn_like(x)
        a = self.abar[t][:, None]
        return (net(a.sqrt() * x + (1 - a).sqrt() * eps, t) - eps).square().mean()

    @torch.no_grad()
    def sample(self, net, n):
        x = torch.randn(n, 2)
        for i in reversed(range(self.steps)):
            eps = net(x, torch.full((n,), i))
            b, a = self.beta[i], self.abar[i]
            x = (x - b / (1 - a).sqrt() * eps) / (1 - b).sqrt()
            if i:
                x = x + b.sqrt() * torch.randn_like(x)
        return x


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def main(iterations=1400):
    torch.manual_seed(64)
    diffusion, net = Diffusion(), Denoiser(50)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    ema = Averager(net, 0.996)
    for i in range(1, iterations + 1):
        loss = diffusion.loss(net, pinwheel(256))
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update()
        if i % 350 == 0:
            with ema:
                d = energy_distance(diffusion.sample(net, 1500), pinwheel(1500))
            print(f"{i} loss {loss.item():.3f} energy distance of samples {d:.4f}")


main()
