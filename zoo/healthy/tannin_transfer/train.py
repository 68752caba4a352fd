"""Reuse a spectrum encoder from a big old instrument for a new one with 160 measured wines."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

BANDS, COMPOUNDS = 120, 4
axis = np.linspace(0, 1, BANDS)
library = np.random.default_rng(99)
CENTRES = library.uniform(0.1, 0.9, (COMPOUNDS, 3))
WIDTHS = library.uniform(0.015, 0.05, (COMPOUNDS, 3))
HEIGHTS = library.uniform(0.4, 1.0, (COMPOUNDS, 3))


def instrument(n, rng, drift, gain, tilt, noise):
    amounts = rng.gamma(3.0, 0.4, (n, COMPOUNDS))
    peaks = HEIGHTS[:, :, None] * np.exp(-0.5 * ((axis - CENTRES[:, :, None] - drift) / WIDTHS[:, :, None]) ** 2)
    absorb = amounts @ peaks.sum(1)
    absorb = gain * absorb / (1 + 0.15 * absorb)
    baseline = tilt * rng.normal(1, 0.5, (n, 1)) * axis + rng.normal(0, 0.2, (n, 1))
    haze = rng.uniform(0, 1.2, (n, 1)) * np.exp(-0.5 * ((axis - rng.uniform(0, 1, (n, 1))) / 0.08) ** 2)
    return (absorb + baseline + haze + rng.normal(0, noise, (n, BANDS))).astype(np.float32), amounts.astype(np.float32)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, 16, 9, stride=2, padding=4), nn.GroupNorm(4, 16), nn.GELU())
        self.middle = nn.Sequential(nn.Conv1d(16, 24, 7, stride=2, padding=3), nn.GroupNorm(4, 24), nn.GELU())
        self.top = nn.Sequential(nn.Flatten(), nn.Linear(24 * BANDS // 4, 64), nn.GELU())

    def forward(self, x):
        return self.top(self.middle(self.stem(x[:, None])))


def scaled(spectra, amounts, cut):
    stats = spectra[:cut].mean(), spectra[:cut].std(), amounts[:cut].mean(0), amounts[:cut].std(0)
    x = (spectra - stats[0]) / stats[1]
    y = (amounts - stats[2]) / stats[3]
    return torch.from_numpy(x), torch.from_numpy(y)


def r2(net, x, y):
    net.eval()
    with torch.no_grad():
        err = (net(x) - y).pow(2).sum(0)
    return (1 - err / (y - y.mean(0)).pow(2).sum(0)).mean().item()


def one_epoch(net, optimizer, x, y, batch):
    net.train()
    total = 0.0
    for rows in torch.randperm(len(x)).split(batch):
        loss = F.smooth_l1_loss(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(x)


def pretrain(x, y, cut):
    net = nn.Sequential(Encoder(), nn.Linear(64, COMPOUNDS))
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    epochs = 10
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs, eta_min=1e-5)
    for epoch in range(epochs):
        loss = one_epoch(net, optimizer, x[:cut], y[:cut], 64)
        scheduler.step()
    print(f"old instrument: loss {loss:.4f}, held-out R2 {r2(net, x[cut:], y[cut:]):.3f}")
    return net[0]


def finetune(encoder, x, y, n_train, n_val):
    net = nn.Sequential(encoder, nn.Dropout(0.1), nn.Linear(64, 1))
    encoder.requires_grad_(False)
    optimizer = torch.optim.AdamW(net[2].parameters(), lr=3e-3, weight_decay=1e-3)
    thaw = {10: (encoder.top, 6e-4), 20: (encoder.middle, 3e-4), 30: (encoder.stem, 1.5e-4)}
    best, kept = -np.inf, None
    for epoch in range(60):
        if epoch in thaw:
            module, rate = thaw[epoch]
            module.requires_grad_(True)
            optimizer.add_param_group({"params": list(module.parameters()), "lr": rate})
        loss = one_epoch(net, optimizer, x[:n_train], y[:n_train], 16)
        score = r2(net, x[n_train:n_train + n_val], y[n_train:n_train + n_val])
        if score > best:
            best, kept = score, {k: v.clone() for k, v in net.state_dict().items()}
        if epoch % 10 == 9:
            print(f"new instrument, epoch {epoch + 1}: loss {loss:.4f}, val R2 {score:.3f}")
    net.load_state_dict(kept)
    return net


def main():
    torch.manual_seed(8)
    rng = np.random.default_rng(8)
    encoder = pretrain(*scaled(*instrument(4000, rng, 0.0, 1.0, 0.4, 0.05), cut=3400), cut=3400)
    n_train, n_val = 160, 160
    spectra, amounts = instrument(920, rng, 0.012, 0.7, -0.5, 0.08)
    tannin = amounts @ np.array([[0.9], [0.0], [0.6], [-0.4]], dtype=np.float32)
    x, y = scaled(spectra, tannin, n_train)
    net = finetune(encoder, x, y, n_train, n_val)
    print(f"tannin on the new instrument, test R2 {r2(net, x[n_train + n_val:], y[n_train + n_val:]):.3f}")


if __name__ == "__main__":
    main()
