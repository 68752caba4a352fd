import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def woven(n):
    """Woven cloth: intact, missing thread (row), missing thread (column), hole."""
    y = torch.randint(0, 4, (n,))
    cloth = ((torch.arange(12)[:, None] + torch.arange(12)[None]) % 2).float().repeat(n, 1, 1)
    for i, kind in enumerate(y.tolist()):
        r, c = torch.randint(2, 9, (2,)).tolist()
        if kind == 1:
            cloth[i, r:r + 2] = 0.2
        elif kind == 2:
            cloth[i, :, c:c + 2] = 0.2
        elif kind == 3:
            cloth[i, r:r + 3, c:c + 3] = 0.2
    cloth += 0.35 * torch.randn_like(cloth)
    return ((cloth - 0.5) / 0.6).unsqueeze(1), y


class Inspector(nn.Module):
    def __init__(self, keep_prob=0.9):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.Dropout2d(keep_prob),
            nn.MaxPool2d(2), nn.Flatten(),
        )
        self.fc = nn.Sequential(nn.Linear(24 * 9, 64), nn.ReLU(), nn.Dropout(keep_prob), nn.Linear(64, 4))

    def forward(self, x):
        return self.fc(self.conv(x))


def run_epoch(model, loader, optimizer=None):
    model.train(optimizer is not None)
    loss_sum, hits, count = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            out = model(x)
            loss = nn.functional.cross_entropy(out, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            count += len(y)
    return loss_sum / count, hits / count


def main():
    parser = argparse.ArgumentParser(description="cloth inspection")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=77)
    cfg = parser.parse_args()
    torch.manual_seed(cfg.seed)
    train = DataLoader(TensorDataset(*woven(1000)), batch_size=40, shuffle=True)
    valid = DataLoader(TensorDataset(*woven(400)), batch_size=200)
    model = Inspector()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    for epoch in range(1, cfg.epochs + 1):
        tl, ta = run_epoch(model, train, optimizer)
        vl, va = run_epoch(model, valid)
        print(f"{epoch:2d} train {tl:.4f}/{ta:.3f} valid loss {vl:.4f} valid acc {va:.3f}")


if __name__ == "__main__":
    main()
