"""Yield of rowan trees from soil and weather: a linear model and a net, each logged to a csv file."""
import csv
import os
import tempfile

import torch
from sklearn.datasets import make_friedman1
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SETTINGS = {"epochs": 22, "batch_size": 32, "huber": 1.0, "outliers": 0.04}
SEED = int(os.environ.get("SEED", "0"))


class CsvLog:
    def __init__(self, path, fields):
        self.path, self.fields = path, fields
        with open(path, "w", newline="") as f:
            csv.writer(f).writerow(fields)

    def add(self, *values):
        with open(self.path, "a", newline="") as f:
            csv.writer(f).writerow(values)

    def read(self):
        with open(self.path, newline="") as f:
            return list(csv.DictReader(f))


def load():
    x, y = make_friedman1(n_samples=3600, n_features=10, noise=1.0, random_state=SEED)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    g = torch.Generator().manual_seed(SEED)
    wrong = torch.rand(2400, generator=g) < SETTINGS["outliers"]          # mistyped harvests, training part only
    y[:2400][wrong] += 60 * torch.rand(int(wrong.sum()), generator=g)
    x = (x - x[:2400].mean(0)) / x[:2400].std(0)
    median = y[:2400].median()
    return (x[:2400], y[:2400]), (x[2400:3000], y[2400:3000]), (x[3000:], y[3000:]), median


def mean_abs(model, data):
    model.eval()
    with torch.no_grad():
        return (model(data[0]).squeeze(-1) - data[1]).abs().mean().item()


def train(name, model, lr, data, folder):
    train_data, valid_data = data
    log = CsvLog(os.path.join(folder, f"{name}.csv"), ["epoch", "train_loss", "valid_mae"])
    loader = DataLoader(TensorDataset(*train_data), batch_size=SETTINGS["batch_size"], shuffle=True)
    criterion = nn.HuberLoss(delta=SETTINGS["huber"])
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [12, 18], gamma=0.3)
    best_path = os.path.join(folder, f"{name}.pt")
    best = float("inf")
    for epoch in range(SETTINGS["epochs"]):
        model.train()
        losses = []
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x).squeeze(-1), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        valid = mean_abs(model, valid_data)
        log.add(epoch, sum(losses) / len(losses), valid)
        if valid < best:
            best = valid
            torch.save(model.state_dict(), best_path)
    model.load_state_dict(torch.load(best_path))
    rows = log.read()
    print(f"{name}: valid error {float(rows[0]['valid_mae']):.3f} -> {best:.3f} in {len(rows)} epochs")
    return model


def main():
    torch.manual_seed(SEED)
    train_data, valid_data, test_data, median = load()
    linear = nn.Linear(10, 1)
    net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    with torch.no_grad():                       # begin at the middle of the training targets
        linear.bias.fill_(median)
        net[-1].bias.fill_(median)
    with tempfile.TemporaryDirectory() as folder:
        linear = train("linear", linear, 1e-2, (train_data, valid_data), folder)
        net = train("net", net, 2e-3, (train_data, valid_data), folder)
    constant = (test_data[1] - median).abs().mean().item()
    print(f"test mean absolute error: constant {constant:.3f}, linear {mean_abs(linear, test_data):.3f}, "
          f"net {mean_abs(net, test_data):.3f} (noise alone 0.80)")


if __name__ == "__main__":
    main()
