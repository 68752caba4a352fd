# Type of settlement from its road network: graph classification with a plain GCN.
import random

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import StepLR

N = 18


def grow(kind):
    A = np.zeros((N, N), dtype=np.float32)

    def road(a, b):
        if a != b:
            A[a, b] = A[b, a] = 1

    if kind == 0:                       # street village, a chain with some lanes
        for i in range(1, N):
            road(i, i - 1 if random.random() < 0.7 else random.randrange(max(0, i - 3), i))
        for _ in range(3):
            road(random.randrange(N), random.randrange(N))
    elif kind == 1:                     # market village, a few hubs
        hubs = random.sample(range(N), 3)
        for i in range(N):
            road(i, random.choice(hubs))
        for _ in range(5):
            road(random.randrange(N), random.randrange(N))
    elif kind == 2:                     # round village: ring with short cuts
        for i in range(N):
            road(i, (i + 1) % N)
        for _ in range(3):
            road(random.randrange(N), random.randrange(N))
    else:                               # scattered farms
        for i in range(1, N):
            road(i, random.randrange(i))
        for _ in range(3):
            road(random.randrange(N), random.randrange(N))
    return A


def normalise(A):
    A = A + torch.eye(N)
    d = A.sum(-1).pow(-0.5)
    return d.unsqueeze(-1) * A * d.unsqueeze(-2)


def dataset(n):
    y = [random.randrange(4) for _ in range(n)]
    A = torch.from_numpy(np.stack([grow(k) for k in y]))
    deg = A.sum(-1)
    X = torch.stack([torch.ones_like(deg), deg / 4, (deg == 1).float(), (deg == 2).float()], -1)
    return normalise(A), X, torch.tensor(y)


class GCNLayer(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.lin = nn.Linear(i, o)

    def forward(self, A, X):
        return self.lin(A @ X)


class RoadNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.g1 = GCNLayer(4, hidden)
        self.g2 = GCNLayer(hidden, hidden)
        self.g3 = GCNLayer(hidden, hidden)
        self.out = nn.Linear(2 * hidden, 4)

    def forward(self, A, X):
        h = F.relu(self.g1(A, X))
        h = F.relu(self.g2(A, h))
        h = F.relu(self.g3(A, h))
        return self.out(torch.cat([h.mean(1), h.max(1).values], -1))


class Trainer:
    def __init__(self, model, lr=0.05, batch_size=32):
        self.model = model
        self.batch_size = batch_size
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        # halve the learning rate every 8 epochs
        self.scheduler = StepLR(self.optimizer, step_size=8, gamma=0.5)

    def train_epoch(self, A, X, y):
        self.model.train()
        losses = []
        perm = torch.randperm(len(y))
        for idx in perm.split(self.batch_size):
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(A[idx], X[idx]), y[idx])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        self.scheduler.step()
        return np.mean(losses)

    @torch.no_grad()
    def test(self, A, X, y):
        self.model.eval()
        return (self.model(A, X).argmax(-1) == y).float().mean().item()

    def fit(self, train, test, epochs):
        for ep in range(1, epochs + 1):
            loss = self.train_epoch(*train)
            if ep % 4 == 0:
                print(f"ep {ep:3d}  loss {loss:.4f}  test {self.test(*test):.4f}")


if __name__ == "__main__":
    random.seed(8)
    torch.manual_seed(8)
    train, test = dataset(1000), dataset(500)
    trainer = Trainer(RoadNet())
    trainer.fit(train, test, epochs=24)
    print(f"test accuracy {trainer.test(*test):.4f}")
