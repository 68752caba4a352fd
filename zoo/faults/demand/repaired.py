import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

CONFIG = {"lr": 0.015, "momentum": 0.9, "epochs": 20, "batch": 64, "hidden": [48, 48], "seed": 23}


def hourly(n, seed):
    g = torch.Generator().manual_seed(seed)
    hour = torch.rand(n, generator=g) * 24
    temp = torch.randn(n, generator=g)
    free = (torch.rand(n, generator=g) < 0.3).float()
    load = torch.sin(hour / 24 * 6.283) + 0.5 * temp * (1 - free) + 0.4 * free + 0.1 * torch.randn(n, generator=g)
    cols = [torch.sin(hour / 24 * 6.283), torch.cos(hour / 24 * 6.283), temp, free, hour / 12 - 1]
    return torch.stack(cols, 1), load[:, None]


def mlp(sizes):
    mods = []
    for a, b in zip(sizes, sizes[1:]):
        mods += [nn.Linear(a, b), nn.LeakyReLU()]
    return nn.Sequential(*mods[:-1])


class Experiment:
    def __init__(self, cfg):
        torch.manual_seed(cfg["seed"])
        self.cfg = cfg
        self.model = mlp([5, *cfg["hidden"], 1])
        self.opt = torch.optim.SGD(self.model.parameters(), lr=cfg["lr"], momentum=cfg["momentum"])
        self.train = DataLoader(TensorDataset(*hourly(2000, 0)), batch_size=cfg["batch"], shuffle=True)
        self.val = hourly(500, 1)

    def run(self):
        for epoch in range(self.cfg["epochs"]):
            s = sum(self.update(x, y) for x, y in self.train) / len(self.train)
            with torch.no_grad():
                x, y = self.val
                v = nn.functional.mse_loss(self.model(x), y).item()
            print(f"epoch {epoch:02d} train {s:.5g} val {v:.5g}")

    def update(self, x, y):
        self.opt.zero_grad()
        loss = nn.functional.mse_loss(self.model(x), y)
        loss.backward()
        self.opt.step()
        return loss.item()


Experiment(CONFIG).run()
