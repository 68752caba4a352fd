import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 10

torch.manual_seed(3)
features, target = load_breast_cancer(return_X_y=True)
a, b, ya, yb = train_test_split(features, target, test_size=0.2, random_state=0, stratify=target)
scaler = StandardScaler().fit(a)


def to_set(x, y):
    return TensorDataset(torch.tensor(scaler.transform(x)).float(), torch.tensor(y).float().unsqueeze(1))


train_loader = DataLoader(to_set(a, ya), batch_size=35, shuffle=True)
valid_loader = DataLoader(to_set(b, yb), batch_size=128)

model = nn.Sequential(nn.Linear(30, 24), nn.GELU(), nn.Linear(24, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=EPOCHS * len(train_loader))
criterion = nn.BCEWithLogitsLoss()

for epoch in range(EPOCHS):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    scheduler.step()
    model.eval()
    with torch.no_grad():
        losses = [criterion(model(x), y).item() for x, y in valid_loader]
    print(epoch, f"lr {scheduler.get_last_lr()[0]:.4f}", f"validation loss {sum(losses) / len(losses):.4f}")
