"""Will the panel call this lot 'specialty'? Binary classifier on cupping-room measurements."""
import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class CuppingDataset(Dataset):
    def __init__(self, x, y):
        self.x = torch.tensor(x, dtype=torch.float32)
        self.y = torch.tensor(y, dtype=torch.float32)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, idx):
        return self.x[idx], self.y[idx]


def make_lots(n, rng):
    altitude = rng.uniform(600, 2200, n)
    moisture = rng.normal(11, 1, n)
    defects = rng.poisson(4, n)
    acidity = 0.002 * altitude + rng.normal(0, 1, n)
    roast = rng.uniform(0, 1, n)
    body = 3 * np.sin(3 * roast) + rng.normal(0, 0.6, n)
    quality = (1.1 * (acidity - 2.8) - 0.45 * (defects - 4) + 0.8 * (body - 2)
               - 1.0 * (moisture - 11) ** 2 + 1.0)
    y = (quality + rng.normal(0, 0.4, n) > 0).astype(np.float32)
    x = np.stack([altitude, moisture, defects, acidity, roast, body], 1)
    return x, y


class CoffeeNet(nn.Module):
    def __init__(self, n_features, hidden=48):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(hidden, 1),
        )

    def forward(self, x):
        return self.layers(x)


def binary_acc(y_pred, y_true):
    y_tag = torch.round(torch.sigmoid(y_pred))
    return (y_tag == y_true).float().mean()


def run_epoch(model, loader, criterion, optimizer=None):
    training = optimizer is not None
    model.train(training)
    tot_loss, tot_acc = 0.0, 0.0
    with torch.set_grad_enabled(training):
        for x, y in loader:
            out = model(x)
            loss = criterion(out, y.unsqueeze(1))
            acc = binary_acc(out, y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            tot_loss += loss.item()
            tot_acc += acc.item()
    return tot_loss / len(loader), tot_acc / len(loader)


def main(args):
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    rng = np.random.RandomState(np.random.randint(10 ** 6))
    x, y = make_lots(3200, rng)
    n_train = 2400
    mean, std = x[:n_train].mean(0), x[:n_train].std(0)
    x = (x - mean) / std
    train_loader = DataLoader(CuppingDataset(x[:n_train], y[:n_train]), batch_size=64, shuffle=True)
    val_loader = DataLoader(CuppingDataset(x[n_train:], y[n_train:]), batch_size=64)
    print(f"specialty share: {y.mean():.3f}")

    model = CoffeeNet(x.shape[1])
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        tl, ta = run_epoch(model, train_loader, criterion, optimizer)
        vl, va = run_epoch(model, val_loader, criterion)
        if epoch % 4 == 0 or epoch == 1:
            print(f"Epoch {epoch:02d} | loss {tl:.4f} acc {ta:.3f} | val_loss {vl:.4f} val_acc {va:.3f}")
    print(f"Final validation accuracy: {va:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=5)
    main(parser.parse_args())
