"""Sort hand-painted shop signs into round, straight and mixed figures with a network that knows digits."""
import io

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

GROUPS = torch.tensor([0, 1, 2, 2, 1, 2, 0, 1, 0, 0])  # 0 6 8 9 round, 1 4 7 straight, 2 3 5 mixed


def features():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 16, 32), nn.ReLU(),
    )


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = features()
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.features(x))


class SignNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = features()
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.features(x))


def fit(model, optimizer, x, y, epochs, batch_size):
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        if epoch % 10 == 9 or epoch == epochs - 1:
            print("epoch %d loss %.4f" % (epoch + 1, total / len(x)))


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(8)
np.random.seed(8)
digits = load_digits()
images = torch.tensor(digits.images[:, None] / 16.0, dtype=torch.float32)
target = torch.tensor(digits.target)
order = np.random.permutation(len(images))
old, few, test = order[:1000], order[1000:1045], order[1045:]

# step 1: train on digits and keep the weights
net = nn.DataParallel(DigitNet())
fit(net, torch.optim.Adam(net.parameters(), lr=2e-3), images[old], target[old], epochs=10, batch_size=32)
checkpoint = io.BytesIO()
torch.save(net.module.state_dict(), checkpoint)
checkpoint.seek(0)

# step 2: keep what fits, freeze it, train the head on the few signs that have a label
model = SignNet()
pretrained_dict = torch.load(checkpoint)
model_dict = model.state_dict()
pretrained_dict = {k: v for k, v in pretrained_dict.items() if k in model_dict}
model_dict.update(pretrained_dict)
model.load_state_dict(model_dict)
for p in model.features.parameters():
    p.requires_grad = False

optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)
signs = GROUPS[target]
fit(model, optimizer, images[few], signs[few], epochs=60, batch_size=9)
print("signs right: %.4f" % accuracy(model, images[test], signs[test]))
