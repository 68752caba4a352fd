"""Transfer learning (after the tutorial): a network trained on many digits, its layers kept, a new last layer for the
theatre's own task: does the number on a ticket belong to the stalls, the circle or the gallery?"""
import io

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(31)
np.random.seed(31)


class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4, 24)
        self.head = nn.Linear(24, n_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.head(x)


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
images = (images - 0.305) / 0.376
labels = torch.tensor(digits.target)
order = torch.tensor(np.random.permutation(len(images)))
source, few, rest = order[:1000], order[1000:1090], order[1090:]

# ---- first part: the ten digits
net = nn.DataParallel(Net(10))
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
loader = DataLoader(TensorDataset(images[source], labels[source]), batch_size=50, shuffle=True)
for epoch in range(1, 16):
    net.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 5 == 0:
        print(f"digits  epoch {epoch:2d}  loss {total / len(loader):.4f}")
net.eval()
with torch.no_grad():
    print(f"digits  accuracy on other scans {(net(images[rest]).argmax(1) == labels[rest]).float().mean().item():.3f}")
checkpoint_file = io.BytesIO()
torch.save(net.state_dict(), checkpoint_file)

# ---- second part: 90 tickets with the seat area
area = torch.tensor([2, 0, 1, 0, 2, 1, 1, 0, 2, 1])[labels]
checkpoint_file.seek(0)
checkpoint = torch.load(checkpoint_file)
model = Net(3)
pretrained = {k.replace("module.", ""): v for k, v in checkpoint.items() if "head" not in k}
model.load_state_dict(pretrained, strict=False)
for name, param in model.named_parameters():
    param.requires_grad = name.startswith("head")

optimizer = torch.optim.Adam(model.head.parameters(), lr=5e-3, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=60, gamma=0.3)
loader = DataLoader(TensorDataset(images[few], area[few]), batch_size=15, shuffle=True)
for epoch in range(1, 151):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    scheduler.step()
    if epoch % 30 == 0:
        print(f"tickets epoch {epoch:3d}  loss {total / len(loader):.4f}")

model.eval()
with torch.no_grad():
    guess = model(images[rest]).argmax(1)
print(f"tickets accuracy {(guess == area[rest]).float().mean().item():.4f}")
