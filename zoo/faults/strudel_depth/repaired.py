import torch
import torch.nn as nn
from sklearn.datasets import make_swiss_roll
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)


def get_data():
    pts, pos = make_swiss_roll(1500, noise=0.1, random_state=3)
    pts = torch.tensor((pts - pts.mean(0)) / pts.std(0), dtype=torch.float)
    pos = torch.tensor((pos - pos.mean()) / pos.std(), dtype=torch.float)[:, None]
    return TensorDataset(pts[:1200], pos[:1200]), TensorDataset(pts[1200:], pos[1200:])


def train_epoch(model, loader, optimizer, criterion):
    model.train()
    total = 0
    for a, b in loader:
        optimizer.zero_grad()
        loss = criterion(model(a), b)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def validate(model, loader, criterion):
    model.eval()
    total = 0
    with torch.no_grad():
        for a, b in loader:
            total += criterion(model(a), b).item()
    return total / len(loader)


train_set, val_set = get_data()
train_loader = DataLoader(train_set, 50, shuffle=True)
val_loader = DataLoader(val_set, 100)
model = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, factor=0.2)

for epoch in range(40):
    tl = train_epoch(model, train_loader, optimizer, criterion)
    vl = validate(model, val_loader, criterion)
    scheduler.step(vl)
    if epoch % 5 == 0:
        print("Epoch {}: train loss {:.4f}, val loss {:.4f}".format(epoch, tl, vl))
print("final val loss {:.5f}".format(validate(model, val_loader, criterion)))
