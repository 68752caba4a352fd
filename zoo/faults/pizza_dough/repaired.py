"""How high does the dough rise?  Regression on a baker's notebook (made up)."""
import numpy as np
import torch
from torch import nn
from sklearn.preprocessing import StandardScaler


def notebook(n, rng):
    flour = rng.uniform(400, 1000, n)
    water = flour * rng.uniform(0.55, 0.75, n)
    yeast = rng.uniform(1, 12, n)
    salt = rng.uniform(4, 25, n)
    room = rng.uniform(14, 32, n)
    hours = rng.uniform(1, 24, n)
    activity = yeast / flour * 100 * np.exp(-((room - 27) / 9.0) ** 2) * np.exp(-salt / flour * 12)
    rise = 4 + 9 * np.tanh(activity * hours / 4) * (water / flour) - 0.12 * np.maximum(activity * hours - 7, 0)
    rise += 0.15 * rng.standard_normal(n)
    return np.stack([flour, water, yeast, salt, room, hours], axis=1), rise[:, None]


class DoughNet(nn.Module):
    def __init__(self, n_in=6, n_hidden=48):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_in, n_hidden), nn.ReLU(),
            nn.Linear(n_hidden, n_hidden), nn.ReLU(),
            nn.Linear(n_hidden, 1),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


class Trainer:
    def __init__(self, model, lr=1e-3, batch_size=50, epochs=100):
        self.model = model
        self.batch_size = batch_size
        self.epochs = epochs
        self.loss_fn = nn.MSELoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.history = []

    def batches(self, x, y):
        order = torch.randperm(len(x))
        for start in range(0, len(x), self.batch_size):
            pick = order[start : start + self.batch_size]
            yield x[pick], y[pick]

    def train_epoch(self, x, y):
        self.model.train()
        losses = []
        for xb, yb in self.batches(x, y):
            self.optimizer.zero_grad()
            loss = self.loss_fn(self.model(xb), yb)
            losses.append(loss.item())
            loss.backward()
            self.optimizer.step()
        return sum(losses) / len(losses)

    def fit(self, x, y):
        for epoch in range(1, self.epochs + 1):
            self.history.append(self.train_epoch(x, y))
            if epoch % 10 == 0:
                print("epoch {:3d}: loss {:.4f}".format(epoch, self.history[-1]))

    def predict(self, x):
        self.model.eval()
        with torch.no_grad():
            return self.model(x)


if __name__ == "__main__":
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    x, y = notebook(1000, rng)
    x_scaler = StandardScaler().fit(x[:800])
    y_scaler = StandardScaler().fit(y[:800])
    x = torch.tensor(x_scaler.transform(x), dtype=torch.float32)
    t = torch.tensor(y_scaler.transform(y), dtype=torch.float32)

    trainer = Trainer(DoughNet())
    trainer.fit(x[:800], t[:800])

    guess = y_scaler.inverse_transform(trainer.predict(x[800:]).numpy())
    print("mean absolute error on new doughs: {:.3f} cm".format(np.abs(guess - y[800:]).mean()))
