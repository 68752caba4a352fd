"""A network trained on many machines is adapted to a new one with a few labelled recordings."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
LENGTH = 128


def recordings(tones, n, hum=0.4, noise=0.5):
    """n vibrations; the class is the pair of frequencies that is present."""
    y = torch.randint(len(tones), (n,))
    f = torch.tensor(tones, dtype=torch.float32)[y]
    t = torch.arange(LENGTH) / LENGTH
    ph = 2 * torch.pi * torch.rand(n, 3, 1)
    x = torch.sin(2 * torch.pi * f[:, :1] * t + ph[:, 0]) + 0.7 * torch.sin(2 * torch.pi * f[:, 1:] * t + ph[:, 1])
    x = x * (0.8 + 0.4 * torch.rand(n, 1)) + hum * torch.sin(2 * torch.pi * 3 * t + ph[:, 2]) + noise * torch.randn(n, LENGTH)
    return x.unsqueeze(1), y


class VibrationNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 16, 15, stride=2, padding=7, bias=False), nn.BatchNorm1d(16), nn.ReLU(),
            nn.Conv1d(16, 32, 9, stride=2, padding=4, bias=False), nn.BatchNorm1d(32), nn.ReLU(),
            nn.Conv1d(32, 48, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(48), nn.ReLU(),
        )
        self.classifier = nn.Linear(96, classes)

    def forward(self, x):
        h = self.features(x)
        return self.classifier(torch.cat([h.mean(2), h.amax(2)], 1))


class Adapted(VibrationNet):
    """Keeps the first stage and all running statistics of the source."""

    def __init__(self, source, classes):
        super().__init__(classes)
        self.features.load_state_dict(source.features.state_dict())
        for p in self.features[:3].parameters():
            p.requires_grad = False

    def train(self, mode=True):
        super().train(mode)
        for m in self.modules():
            if isinstance(m, nn.BatchNorm1d):
                m.eval()
        return self


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


source_tones = [(6, 14), (6, 22), (10, 18), (10, 30), (14, 26), (18, 34), (22, 30), (26, 38)]
x, y = recordings(source_tones, 1280)
net = VibrationNet(len(source_tones))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
net.train()
for epoch in range(5):
    for idx in torch.randperm(len(x)).split(64):
        loss = F.cross_entropy(net(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
print(f"source machines: loss {loss.item():.3f} accuracy {accuracy(net, *recordings(source_tones, 500)):.3f}")

target_tones = [(8, 20), (12, 28), (16, 24), (20, 36), (8, 32)]
few_x, few_y = recordings(target_tones, 120, hum=0.8)
test_x, test_y = recordings(target_tones, 600, hum=0.8)
tuned = Adapted(net, len(target_tones))
opt = torch.optim.Adam([
    {"params": tuned.classifier.parameters(), "lr": 3e-3},
    {"params": [p for p in tuned.features.parameters() if p.requires_grad], "lr": 1e-5},
])
for epoch in range(50):
    tuned.train()
    for idx in torch.randperm(len(few_x)).split(24):
        loss = F.cross_entropy(tuned(few_x[idx]), few_y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 10 == 9:
        print(f"new machine, epoch {epoch + 1}: loss {loss.item():.3f} accuracy {accuracy(tuned, test_x, test_y):.3f}")
