import io
import math

import torch
from torch import nn


def gratings(n, classes, jitter, size=14):
    """Oriented gratings: class = orientation."""
    label = torch.randint(0, classes, (n,))
    angle = label * math.pi / classes + jitter * torch.randn(n)
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    freq = 6 + 2 * torch.rand(n)
    wave = torch.cos(angle)[:, None, None] * xx + torch.sin(angle)[:, None, None] * yy
    img = torch.sin(freq[:, None, None] * wave + 2 * math.pi * torch.rand(n)[:, None, None])
    return (img + 1.2 * torch.randn(n, size, size)).unsqueeze(1), label


class Backbone(nn.Module):
    out_dim = 16

    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 12, 5), nn.ReLU(), nn.MaxPool2d(2))
        self.block2 = nn.Sequential(nn.Conv2d(12, 16, 3), nn.ReLU())

    def forward(self, x):
        return self.block2(self.block1(x)).mean((2, 3))


def fit(model, params, data, epochs, lr, tag):
    x, y = data
    opt = torch.optim.Adam(params, lr=lr)
    for epoch in range(epochs):
        for idx in torch.randperm(len(x)).split(50):
            loss = nn.functional.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        print(f"{tag} epoch {epoch} loss {loss.item():.3f}")


def pretrain():
    model = nn.Sequential(Backbone(), nn.Linear(Backbone.out_dim, 8))
    fit(model, model.parameters(), gratings(1500, 8, 0.03), 5, 4e-3, "source")
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    return file


def main():
    torch.manual_seed(12)
    weights = pretrain()

    backbone = Backbone()
    state = torch.load(weights)
    backbone.load_state_dict({k[2:]: v for k, v in state.items() if k.startswith("0.")})
    for p in backbone.parameters():
        p.requires_grad_(False)
    head = nn.Linear(Backbone.out_dim, 4)
    model = nn.Sequential(backbone, head)
    fit(model, head.parameters(), gratings(400, 4, 0.05), 12, 2e-2, "target")

    xt, yt = gratings(800, 4, 0.05)
    with torch.no_grad():
        acc = (model(xt).argmax(1) == yt).float().mean()
    print(f"target accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
