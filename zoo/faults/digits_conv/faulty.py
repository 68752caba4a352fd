import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(7)

raw = load_digits()
images = torch.tensor(raw.images, dtype=torch.float32).unsqueeze(1) / 16.0
labels = torch.tensor(raw.target, dtype=torch.long)
dataset = TensorDataset(images, labels)
train_set, val_set = random_split(dataset, [1400, len(dataset) - 1400])
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=256)

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 2 * 2, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
    nn.Softmax(dim=1),
)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

for epoch in range(15):
    net.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        out = net(x)
        loss = criterion(out, y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
    net.eval()
    hits = 0
    with torch.no_grad():
        for x, y in val_loader:
            hits += (net(x).argmax(1) == y).sum().item()
    print(f"epoch {epoch:2d}  train loss {total / len(train_set):.4f}  val acc {hits / len(val_set):.3f}")
