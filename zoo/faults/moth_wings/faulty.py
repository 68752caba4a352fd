import os
import tempfile

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(5)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
perm = torch.randperm(len(labels))
images, labels = images[perm], labels[perm]
n = 1400


class WingNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.classifier = nn.Linear(12 * 16, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


def fit(model, path, epochs=6):
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(epochs):
        order = torch.randperm(n)
        for k in range(0, n, 50):
            b = order[k:k + 50]
            opt.zero_grad()
            loss = F.cross_entropy(model(images[b]), labels[b])
            loss.backward()
            opt.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")
    torch.save(model.state_dict(), path)


def predict(path):
    model = WingNet()
    state = torch.load(path)
    model.eval()
    with torch.no_grad():
        return model(images[n:]).argmax(dim=1)


path = os.path.join(tempfile.mkdtemp(), "wings.pt")
fit(WingNet(), path)
accuracy = (predict(path) == labels[n:]).float().mean().item()
print(f"test accuracy: {accuracy:.3f}")
