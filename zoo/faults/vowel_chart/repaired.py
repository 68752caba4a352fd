import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# F1, F2, F3 of /i e a o u/ in Hz, rough textbook numbers
FORMANTS = [(300, 2300, 3000), (450, 2000, 2600), (750, 1300, 2500), (500, 900, 2450), (330, 800, 2300)]
PER_VOWEL = 160
BANDS = torch.linspace(100, 3800, 48)


def spectra(formants, n):
    """n log band energies of one vowel by different speakers"""
    centre = torch.tensor(formants, dtype=torch.float32)
    speaker = 1 + 0.09 * torch.randn(n, 1)
    centre = centre * speaker + 40 * torch.randn(n, 3)
    width = 130 + 30 * torch.rand(n, 3)
    peaks = torch.exp(-0.5 * ((BANDS - centre[..., None]) / width[..., None]) ** 2)
    strength = torch.tensor([1.0, 0.7, 0.4]) * (1 + 0.2 * torch.randn(n, 3))
    return torch.log((peaks * strength[..., None]).sum(1) + 0.05) + 0.25 * torch.randn(n, len(BANDS))


def get_data():
    x = torch.cat([spectra(f, PER_VOWEL) for f in FORMANTS])
    y = torch.arange(len(FORMANTS)).repeat_interleave(PER_VOWEL)
    x = x - x.mean(dim=1, keepdim=True)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    n_train = int(0.7 * len(x))
    mu, sd = x[:n_train].mean(0), x[:n_train].std(0)
    x = (x - mu) / sd
    return x[:n_train], y[:n_train], x[n_train:], y[n_train:]


class VowelNet(nn.Module):
    def __init__(self, n_bands, n_hidden, n_vowels):
        super().__init__()
        self.fc1 = nn.Linear(n_bands, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_hidden)
        self.out = nn.Linear(n_hidden, n_vowels)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.out(x)


def train_one_epoch(net, opt, x, y, bs=40):
    net.train()
    running = []
    for chunk in torch.randperm(len(x)).split(bs):
        opt.zero_grad()
        loss = F.cross_entropy(net(x[chunk]), y[chunk])
        loss.backward()
        opt.step()
        running.append(loss.item())
    return np.mean(running)


def test(net, x, y):
    net.eval()
    with torch.no_grad():
        logits = net(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(1234)
    xtr, ytr, xte, yte = get_data()
    print("train", tuple(xtr.shape), "test", tuple(xte.shape), "per vowel", torch.bincount(ytr).tolist())
    net = VowelNet(len(BANDS), 40, len(FORMANTS))
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(1, 21):
        tr = train_one_epoch(net, opt, xtr, ytr)
        te, acc = test(net, xte, yte)
        if epoch % 4 == 0:
            print(f"epoch {epoch:2d}  train loss {tr:.3f}  test loss {te:.3f}  test acc {acc:.3f}")


main()
