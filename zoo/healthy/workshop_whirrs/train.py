"""Fine-tune a machine-sound network: pretrain on eight machines, adapt to four new ones with few recordings."""
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

RATE, LENGTH = 2000, 1024


def recordings(machines, per_class, gen):
    """Each machine: a base frequency, a harmonic profile, an amplitude beat. Returns log spectrograms."""
    t = torch.arange(LENGTH) / RATE
    waves, labels = [], []
    for label, (freq, tilt, beat) in enumerate(machines):
        f = freq * (1 + 0.04 * torch.randn(per_class, 1, generator=gen))
        phase = 2 * math.pi * torch.rand(per_class, 6, 1, generator=gen)
        k = torch.arange(1, 7).view(1, 6, 1)
        tones = (torch.sin(2 * math.pi * k * f.unsqueeze(1) * t + phase) * k.float() ** -tilt).sum(1)
        swell = 1 + 0.7 * torch.sin(2 * math.pi * beat * t + 2 * math.pi * torch.rand(per_class, 1, generator=gen))
        gain = 0.5 + torch.rand(per_class, 1, generator=gen)
        waves.append(gain * tones * swell + 0.8 * torch.randn(per_class, LENGTH, generator=gen))
        labels += [label] * per_class
    spec = torch.stft(torch.cat(waves), 128, hop_length=32, window=torch.hann_window(128), return_complex=True)
    return torch.log1p(spec.abs()), torch.tensor(labels)


class Listener(nn.Module):
    def __init__(self, classes, bins=65, width=48):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(bins, width, 3, padding=1, bias=False), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1, stride=2, bias=False), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1, bias=False), nn.BatchNorm1d(width), nn.ReLU())
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x):
        h = self.body(x)
        return self.head(torch.cat([h.mean(-1), h.std(-1)], 1))


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


def run_epochs(net, loader, optimizer, epochs, frozen_body=False, tag=""):
    for epoch in range(epochs):
        net.train()
        if frozen_body:
            net.body.eval()  # running statistics stay those of the pretraining
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y, label_smoothing=0.05)
            loss.backward()
            optimizer.step()
            total += loss.item()
    print(f"{tag}: {epochs} epochs, last loss {total / len(loader):.3f}")


def pretrain(x, y, classes):
    net = Listener(classes)
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    run_epochs(net, DataLoader(TensorDataset(x, y), 64, shuffle=True), opt, 8, tag="pretrain")
    return net.state_dict()


def finetune(state, x, y, classes):
    net = Listener(classes)
    missing, unexpected = net.load_state_dict(
        {k: v for k, v in state.items() if not k.startswith("head.")}, strict=False)
    assert set(missing) == {"head.weight", "head.bias"} and not unexpected
    loader = DataLoader(TensorDataset(x, y), 10, shuffle=True)
    net.body.requires_grad_(False)
    run_epochs(net, loader, torch.optim.AdamW(net.head.parameters(), lr=5e-3), 15, True, "head only")
    net.body.requires_grad_(True)
    opt = torch.optim.AdamW([{"params": net.body.parameters(), "lr": 1e-4},
                             {"params": net.head.parameters(), "lr": 1e-3}], weight_decay=1e-2)
    run_epochs(net, loader, opt, 15, True, "whole network")
    return net


def main():
    torch.manual_seed(31)
    gen = torch.Generator().manual_seed(31)
    old = [(60, 1.0, 2), (75, 0.4, 5), (90, 1.6, 3), (105, 0.7, 8), (120, 0.3, 4), (140, 1.2, 6), (82, 1.2, 7), (112, 0.5, 2)]
    new = [(68, 0.5, 6), (97, 0.9, 2), (97, 0.9, 9), (130, 0.4, 7)]
    x, y = recordings(old, 160, gen)
    xv, yv = recordings(old, 40, gen)
    mean, std = x.mean((0, 2), keepdim=True), x.std((0, 2), keepdim=True)
    x, xv = (x - mean) / std, (xv - mean) / std
    state = pretrain(x, y, len(old))
    source = Listener(len(old))
    source.load_state_dict(state)
    print(f"eight old machines, held out: {accuracy(source, xv, yv):.3f}")

    xf, yf = recordings(new, 20, gen)       # all we have of the new workshop
    xt, yt = recordings(new, 250, gen)
    xf, xt = (xf - mean) / std, (xt - mean) / std   # the pretrained network's own scaling
    tuned = finetune(copy.deepcopy(state), xf, yf, len(new))
    print(f"four new machines, test accuracy {accuracy(tuned, xt, yt):.3f} (chance 0.250)")


if __name__ == "__main__":
    main()
