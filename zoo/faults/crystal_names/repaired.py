import numpy as np
import torch
from sklearn.preprocessing import LabelEncoder
from torch import nn
from torch.utils.data import DataLoader

np.random.seed(1)
torch.manual_seed(1)

NAMES = ["quartz", "calcite", "gypsum", "halite", "pyrite", "galena", "fluorite", "topaz"]
centres = np.random.randn(8, 12) * 1.3
samples = []
for _ in range(2400):
    k = np.random.choice(8, p=[0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.04])
    samples.append((centres[k] + np.random.randn(12), NAMES[k]))
train, test = samples[:1900], samples[1900:]

encoder = LabelEncoder()
encoder.fit(NAMES)


def collate(batch):
    xs = torch.tensor(np.array([x for x, _ in batch]), dtype=torch.float32)
    names = [name for _, name in batch]
    ys = encoder.transform(names)
    return xs, torch.as_tensor(ys).long()


train_loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=collate)
test_loader = DataLoader(test, batch_size=500, collate_fn=collate)

model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 8))
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(8):
    for x, y in train_loader:
        opt.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        opt.step()
    print(f"epoch {epoch}: loss={loss.item():.3f}")

with torch.no_grad():
    x, y = next(iter(test_loader))
    acc = (model(x).argmax(1) == y).float().mean().item()
print(f"test_accuracy={acc:.4f}")
