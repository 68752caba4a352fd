import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def synth(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 1, 64)
    y = torch.randint(0, 5, (n,), generator=g)
    freq = torch.tensor([3.0, 4.0, 5.0, 6.0, 7.0])[y]
    phase = torch.rand(n, 1, generator=g) * 6.28
    x = torch.sin(6.28 * freq[:, None] * t + phase) + 0.6 * torch.randn(n, 64, generator=g)
    return x[:, None], y


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(1, 12, 7, padding=3), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(12, 12, 5, padding=2), nn.ReLU(), nn.AdaptiveMaxPool1d(1),
        )

    def forward(self, x):
        return self.conv(x).squeeze(-1)


class SignalModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(12, 5)

    def features(self, x):
        with torch.no_grad():
            return self.encoder(x)

    def forward(self, x):
        return self.head(self.features(x))


def main():
    torch.manual_seed(2)
    loader = DataLoader(TensorDataset(*synth(1500, 1)), batch_size=50, shuffle=True)
    xv, yv = synth(400, 2)
    model = SignalModel()
    opt = torch.optim.Adam([
        {"params": model.encoder.parameters(), "lr": 5e-3},
        {"params": model.head.parameters(), "lr": 5e-3},
    ])
    ce = nn.CrossEntropyLoss()
    for epoch in range(15):
        model.train()
        total = 0.0
        for x, y in loader:
            loss = ce(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            acc = (model(xv).argmax(-1) == yv).float().mean().item()
        print(f"epoch {epoch}: loss {total / len(loader):.3f}  val acc {acc:.3f}")


main()
