import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from torch.utils.data import DataLoader, TensorDataset


def get_data():
    X, y = make_classification(900, 40, n_informative=8, n_redundant=4, flip_y=0.04, class_sep=1.2, random_state=6)
    X = torch.tensor(X, dtype=torch.float32)
    X = (X - X[:400].mean(0)) / X[:400].std(0)
    y = torch.tensor(y)
    return TensorDataset(X[:400], y[:400]), TensorDataset(X[400:], y[400:])


def validate(model, loader, criterion):
    model.eval()
    loss, hits, n = 0.0, 0, 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            loss += criterion(out, y).item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss / n, hits / n


def train_epoch(model, loader, criterion, optimizer):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


def main():
    torch.manual_seed(8)
    train, val = get_data()
    tl = DataLoader(train, batch_size=40, shuffle=True)
    vl = DataLoader(val, batch_size=250)
    model = nn.Sequential(
        nn.Linear(40, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(96, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(96, 2),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for epoch in range(20):
        tr = train_epoch(model, tl, criterion, optimizer)
        vloss, vacc = validate(model, vl, criterion)
        print(f"epoch {epoch:02d} train {tr:.4f} val {vloss:.4f} acc {vacc:.3f}")


main()
