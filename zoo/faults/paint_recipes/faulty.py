# Paint lab: colour (L, a, b) of a dried sample from the amounts of the pigments and the drying programme
import os
import random
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)
torch.set_num_threads(1)

cfg = {
    "n_train": 3200, "n_test": 1000, "pigments": 7, "programmes": 4,
    "hidden": 80, "batch_size": 64, "lr": 3e-3, "epochs": 20, "clip": 1.0,
}


class Recipes(Dataset):
    curve = None

    def __init__(self, n):
        k = cfg["pigments"]
        amount = np.random.dirichlet(np.ones(k) * 0.6, n)
        programme = np.random.randint(0, cfg["programmes"], n)
        if Recipes.curve is None:
            Recipes.curve = np.random.uniform(0.2, 2.5, (k, 3)), np.random.uniform(0.6, 1.4, (cfg["programmes"], 3))
        absorb, heat = Recipes.curve
        # reflected light falls with the absorption, the a and b axes are differences of it
        ks = (amount @ absorb ** 2) * heat[programme]
        light = 1 + ks - np.sqrt(ks ** 2 + 2 * ks)
        mix = amount[:, :1] * amount[:, 1:2] * 8
        lab = np.stack([light.mean(1), light[:, 0] - light[:, 1] + mix[:, 0], light[:, 1] - light[:, 2] - mix[:, 0]], 1)
        lab = (lab - [0.25, 0.0, 0.0]) / [0.1, 0.12, 0.12]
        lab += np.random.normal(0, 0.08, lab.shape)
        onehot = np.eye(cfg["programmes"])[programme]
        x = np.concatenate([(amount - 1 / k) * 6, onehot], 1)
        self.x = torch.tensor(x, dtype=torch.float32)
        self.y = torch.tensor(lab, dtype=torch.float32)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class ColourNet(nn.Module):
    def __init__(self, n_in, hidden, n_out=3):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, n_out)
        self._init()

    def _init(self):
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.fc1(x)
        x = self.fc2(x)
        x = self.fc3(x)
        return self.out(x)


class Meter:
    def __init__(self):
        self.sum, self.n = 0.0, 0

    def add(self, value, n):
        self.sum += value * n
        self.n += n

    @property
    def mean(self):
        return self.sum / max(self.n, 1)


def train_epoch(model, loader, opt, loss_fn):
    model.train()
    meter = Meter()
    for x, y in loader:
        opt.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), cfg["clip"])
        opt.step()
        meter.add(loss.item(), len(x))
    return meter.mean


@torch.no_grad()
def colour_r2(model, data):
    model.eval()
    err = (model(data.x) - data.y).pow(2).mean(0)
    return (1 - err / data.y.var(0)).tolist()


train_set, test_set = Recipes(cfg["n_train"]), Recipes(cfg["n_test"])
loader = DataLoader(train_set, batch_size=cfg["batch_size"], shuffle=True)
model = ColourNet(train_set.x.shape[1], cfg["hidden"])
opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)
loss_fn = nn.SmoothL1Loss()

for epoch in range(cfg["epochs"]):
    train_loss = train_epoch(model, loader, opt, loss_fn)
    sched.step()
    if epoch % 2 == 0:
        scores = colour_r2(model, test_set)
        print("epoch", epoch, "loss %.4f" % train_loss, "r2 L %.3f a %.3f b %.3f" % tuple(scores))

scores = colour_r2(model, test_set)
print("R2 over the three axes: %.4f" % np.mean(scores))
