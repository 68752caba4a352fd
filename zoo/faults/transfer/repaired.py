"""Pretrain on digits 0-4, reuse the backbone for digits 5-9."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.classifier = nn.Linear(32, 5)

    def forward(self, x):
        return self.classifier(self.features(x))


def split(lo, hi):
    d = load_digits()
    x = torch.tensor(d.data, dtype=torch.float32) / 16
    y = torch.tensor(d.target)
    m = (y >= lo) & (y < hi)
    x, y = x[m], y[m] - lo
    cut = int(0.8 * len(x))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def epoch_pass(model, data, opt):
    model.train()
    x, y = data
    tot = 0.0
    for idx in torch.randperm(len(x)).split(32):
        opt.zero_grad()
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    return tot / len(x)


def score(model, data):
    model.eval()
    with torch.no_grad():
        return (model(data[0]).argmax(1) == data[1]).float().mean().item()


def main():
    torch.manual_seed(17)
    model = Backbone()
    source, source_val = split(0, 5)
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for e in range(8):
        l = epoch_pass(model, source, opt)
    print(f"pretrain loss {l:.4f} acc {score(model, source_val):.3f}")

    target, target_val = split(5, 10)
    for p in model.features.parameters():
        p.requires_grad = False
    model.classifier = nn.Linear(32, 5)
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for e in range(15):
        l = epoch_pass(model, target, opt)
        print(f"tune epoch {e} loss {l:.4f} acc {score(model, target_val):.3f}")


if __name__ == "__main__":
    main()
