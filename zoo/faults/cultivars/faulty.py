import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def prepare(seed=0):
    X, y = load_wine(return_X_y=True)
    Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    f = torch.FloatTensor
    return TensorDataset(f(Xa), torch.LongTensor(ya)), TensorDataset(f(Xb), torch.LongTensor(yb))


class Runner:
    def __init__(self, model, lr):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=lr)
        self.crit = nn.CrossEntropyLoss()

    def epoch(self, loader):
        self.model.train()
        out = 0.0
        for x, y in loader:
            self.opt.zero_grad()
            loss = self.crit(self.model(x), y)
            loss.backward()
            self.opt.step()
            out += loss.item()
        return out / len(loader)

    @torch.no_grad()
    def accuracy(self, loader):
        self.model.eval()
        ok = n = 0
        for x, y in loader:
            ok += (self.model(x).argmax(1) == y).sum().item()
            n += len(y)
        return ok / n


torch.manual_seed(1)
train, test = prepare()
train_loader = DataLoader(train, batch_size=16, shuffle=True)
test_loader = DataLoader(test, batch_size=64)
runner = Runner(nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)), lr=0.02)
for ep in range(60):
    l = runner.epoch(train_loader)
    if ep % 6 == 5:
        print(f"epoch {ep + 1} loss {l:.4f} test acc {runner.accuracy(test_loader):.3f}")
