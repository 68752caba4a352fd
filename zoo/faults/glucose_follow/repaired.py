"""Predict the progression of diabetes with a wide net; keep the weights of the best validation epoch."""
import copy

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import nn


class EarlyKeeper:
    def __init__(self):
        self.best = float("inf")
        self.epoch = 0
        self.weights = None

    def look(self, epoch, value, model):
        if value < self.best:
            self.best, self.epoch = value, epoch
            self.weights = copy.deepcopy(model.state_dict())


class Regressor:
    def __init__(self, n_in, hidden=128, lr=2e-3, seed=0):
        torch.manual_seed(seed)
        self.net = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.opt = torch.optim.Adam(self.net.parameters(), lr=lr)
        self.loss = nn.MSELoss()
        self.keeper = EarlyKeeper()

    def fit(self, train, valid, epochs=80, batch=32):
        x, y = train
        for epoch in range(1, epochs + 1):
            self.net.train()
            order = torch.randperm(len(x))
            for start in range(0, len(x), batch):
                rows = order[start : start + batch]
                self.opt.zero_grad()
                err = self.loss(self.net(x[rows]), y[rows])
                err.backward()
                self.opt.step()
            value = self.error(*valid)
            self.keeper.look(epoch, value, self.net)
            if epoch % 20 == 0:
                print(f"epoch {epoch} train {self.error(x, y):.3f} valid {value:.3f} best {self.keeper.best:.3f}")
        self.net.load_state_dict(self.keeper.weights)
        print(f"back to epoch {self.keeper.epoch}")

    @torch.no_grad()
    def error(self, x, y):
        self.net.eval()
        return self.loss(self.net(x), y).item()


def load():
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_fit, x_test, y_fit, y_test = train_test_split(x, y, test_size=0.25, random_state=1)
    x_train, x_val, y_train, y_val = train_test_split(x_fit, y_fit, test_size=0.25, random_state=2)
    mean, std = x_train.mean(0), x_train.std(0)
    centre, spread = y_train.mean(), y_train.std()

    def pack(a, b):
        a, b = (a - mean) / std, (b - centre) / spread
        return torch.from_numpy(a.astype(np.float32)), torch.from_numpy(b.astype(np.float32)).unsqueeze(1)

    return pack(x_train, y_train), pack(x_val, y_val), pack(x_test, y_test)


if __name__ == "__main__":
    train, valid, test = load()
    model = Regressor(n_in=train[0].shape[1], seed=17)
    model.fit(train, valid)
    print(f"test error {model.error(*test):.3f}")
