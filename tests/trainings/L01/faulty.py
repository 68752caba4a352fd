"""Handwritten digits with a small perceptron that initializes itself."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)

digits = load_digits()
pixels = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
labels = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(pixels[:1500], labels[:1500]), batch_size=50, shuffle=True)


class Perceptron(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.hidden = nn.Linear(64, width)
        self.output = nn.Linear(width, 10)
        nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
        nn.init.normal_(self.output.weight, std=1.0)

    def forward(self, x):
        return self.output(torch.relu(self.hidden(x)))


model = Perceptron()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(4):
    model.train()
    for x, y in loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(pixels[1500:]).argmax(1) == labels[1500:]).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, right {right:.3f}")
