import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load():
    d = load_breast_cancer()
    x = torch.tensor(d.data, dtype=torch.float32)
    y = torch.tensor(d.target, dtype=torch.float32)
    g = torch.Generator().manual_seed(0)
    p = torch.randperm(len(x), generator=g)
    x, y = x[p], y[p]
    x = (x - x[:420].mean(0)) / x[:420].std(0)
    return TensorDataset(x[:420], y[:420]), TensorDataset(x[420:], y[420:])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(30, 24)
        self.l2 = nn.Linear(24, 1)

    def forward(self, x):
        return torch.sigmoid(self.l2(torch.relu(self.l1(x)))).squeeze(1)


def fit(model, train, test, epochs):
    opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    bce = nn.BCELoss()
    for epoch in range(epochs):
        model.train()
        sums = {"loss": 0.0, "hit": 0}
        for x, y in DataLoader(train, 30, shuffle=True):
            opt.zero_grad()
            prob = model(x)
            label = (prob > 0.5).float()
            loss = bce(label, y)
            loss.requires_grad = True
            loss.backward()
            opt.step()
            sums["loss"] += loss.item() * len(y)
            sums["hit"] += (label == y).sum().item()
        model.eval()
        with torch.no_grad():
            x, y = test.tensors
            val = ((model(x) > 0.5).float() == y).float().mean().item()
        print(f"epoch {epoch} loss {sums['loss'] / len(train):.4f} train {sums['hit'] / len(train):.3f} val {val:.3f}")


torch.manual_seed(31)
fit(Model(), *load(), epochs=25)
