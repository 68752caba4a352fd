# Solder joints under the microscope: good (0) or bridged (1).
# The camera line gives 24x24 grey images; bridges are seldom, about 1 in 30.
import os, random
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader

seed = int(os.environ.get("SEED", "0"))
random.seed(seed); np.random.seed(seed); torch.manual_seed(seed)
rng = np.random.default_rng(seed)


def draw_joint(bridged):
    img = rng.normal(0.25, 0.12, (24, 24))
    yy, xx = np.mgrid[0:24, 0:24]
    cy = 12 + rng.integers(-2, 3)
    for cx in (6 + rng.integers(-1, 2), 17 + rng.integers(-1, 2)):
        r = rng.uniform(3.0, 4.5)
        img += 0.6 * np.exp(-(((yy - cy) ** 2 + (xx - cx) ** 2) / (r * r)) ** 2)
    # tin between the pads; a good joint can have a bit of flux there too
    strength = rng.uniform(0.18, 0.42) if bridged else max(0.0, rng.normal(0.03, 0.06))
    row = cy + rng.integers(-2, 3)
    img[max(row - 1, 0):row + 1, 9:15] += strength
    return img.clip(0, 1.3)


class Joints(Dataset):
    def __init__(self, n, share):
        self.y = (rng.random(n) < share).astype(np.int64)
        self.x = np.stack([draw_joint(b) for b in self.y]).astype(np.float32)
        self.x = (self.x - 0.4) / 0.3

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.from_numpy(self.x[i]).unsqueeze(0), float(self.y[i])


class JointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, padding=1)
        self.c2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 6 * 6, 32)
        self.fc2 = nn.Linear(32, 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x).squeeze(1)


def evaluate(model, loader):
    model.eval()
    preds, labels = [], []
    with torch.no_grad():
        for x, y in loader:
            preds.append((torch.sigmoid(model(x)) > 0.5).long())
            labels.append(y.long())
    p, t = torch.cat(preds), torch.cat(labels)
    acc = (p == t).float().mean().item()
    recall_bad = (p[t == 1] == 1).float().mean().item()
    recall_good = (p[t == 0] == 0).float().mean().item()
    return acc, recall_good, recall_bad


train_set = Joints(1800, 0.035)
test_set = Joints(1200, 0.035)
n_bad = int(train_set.y.sum())
print("train", len(train_set), "bridged", n_bad, "| test", len(test_set), "bridged", int(test_set.y.sum()))

train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
test_loader = DataLoader(test_set, batch_size=250)

model = JointNet()
criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor((len(train_set) - n_bad) / n_bad))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(9):
    model.train()
    total = 0
    for x, y in train_loader:
        y = y.float()
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    acc, good, bad = evaluate(model, test_loader)
    print("epoch %d loss %.4f accuracy %.4f found: good %.3f bridged %.3f" % (epoch, total / len(train_loader), acc, good, bad))

acc, good, bad = evaluate(model, test_loader)
print("balanced accuracy %.4f" % ((good + bad) / 2))
