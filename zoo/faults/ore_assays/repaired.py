"""Which vein does a sample of ore come from? Ten elements, each in the unit the laboratory likes."""
import numpy as np
import torch
from torch import nn


class Assays:
    """Concentrations of ten elements in samples of five veins."""

    units = np.array([1200.0, 0.4, 35.0, 3.0, 0.05, 260.0, 8.0, 0.9, 15.0, 2.0])

    def __init__(self, n, rng):
        self.y = rng.randint(0, 5, n)
        profile = np.random.RandomState(77).uniform(-0.5, 0.5, (5, 10))
        profile[:, [0, 5]] *= 0.2  # iron and sulphur are much the same everywhere
        self.x = self.units * np.exp(profile[self.y] + 0.25 * rng.randn(n, 10))


class Net(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super(Net, self).__init__()
        self.layer1 = nn.Linear(n_in, n_hidden)
        self.layer2 = nn.Linear(n_hidden, n_hidden)
        self.layer3 = nn.Linear(n_hidden, n_out)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.layer1(x))
        x = self.relu(self.layer2(x))
        return self.layer3(x)


class Trainer:
    def __init__(self, model, lr=0.02, batch_size=32):
        self.model = model
        self.batch_size = batch_size
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def train_epoch(self, x, y):
        self.model.train()
        perm = np.random.permutation(len(x))
        losses = []
        for k in range(0, len(x), self.batch_size):
            rows = perm[k:k + self.batch_size]
            inputs = torch.from_numpy(x[rows]).float()
            targets = torch.from_numpy(y[rows]).long()
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(inputs), targets)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return np.mean(losses)

    def score(self, x, y):
        self.model.eval()
        with torch.no_grad():
            predicted = self.model(torch.from_numpy(x).float()).argmax(dim=1).numpy()
        return np.mean(predicted == y)


def main():
    torch.manual_seed(10)
    np.random.seed(10)
    train, test = Assays(1500, np.random), Assays(500, np.random)

    # zero mean and unit variance
    mean = train.x.mean(axis=0, keepdims=True)
    std = train.x.std(axis=0, keepdims=True)
    x_train = (train.x - mean) / std
    x_test = (test.x - mean) / std

    trainer = Trainer(Net(10, 80, 5))
    for epoch in range(1, 13):
        loss = trainer.train_epoch(x_train, train.y)
        print("Epoch {:2d}  loss {:.4f}  test acc {:.4f}".format(epoch, loss, trainer.score(x_test, test.y)))


if __name__ == "__main__":
    main()
