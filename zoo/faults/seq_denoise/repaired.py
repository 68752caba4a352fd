import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def waves(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 6.283, 32)
    k = torch.randint(1, 4, (n, 1), generator=g)
    clean = torch.sin(k * t + 6.283 * torch.rand(n, 1, generator=g))
    return clean + 0.4 * torch.randn(n, 32, generator=g), clean


class Denoiser(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.inp = nn.Linear(1, 16)
        self.encoder = nn.GRU(16, h, batch_first=True)
        self.decoder = nn.Sequential(nn.Linear(h, 128), nn.Tanh(), nn.Linear(128, 32))

    def forward(self, x):
        _, h = self.encoder(torch.tanh(self.inp(x.unsqueeze(-1))))
        return self.decoder(h[0])


def groups(model):
    named = list(model.named_parameters())
    return [
        {"params": [p for n, p in named if n.startswith("inp")], "lr": 2e-3},
        {"params": [p for n, p in named if n.startswith("encoder")], "lr": 4e-3},
        {"params": [p for n, p in named if n.startswith("decoder")], "lr": 4e-3},
    ]


def main():
    torch.manual_seed(3)
    train = DataLoader(TensorDataset(*waves(1200, 0)), batch_size=60, shuffle=True)
    xv, yv = waves(300, 1)
    model = Denoiser()
    opt = torch.optim.Adam(groups(model))
    for epoch in range(20):
        model.train()
        tot = 0.0
        for noisy, clean in train:
            loss = ((model(noisy) - clean) ** 2).mean()
            model.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item()
        model.eval()
        with torch.no_grad():
            v = ((model(xv) - yv) ** 2).mean().item()
        print(f"epoch {epoch} train mse {tot / len(train):.4f} val mse {v:.4f}")


main()
