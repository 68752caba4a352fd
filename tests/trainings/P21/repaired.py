"""Small batches for a small memory: the gradients of four of them make one step."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ACCUMULATE = 4

torch.manual_seed(4)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
loader = DataLoader(TensorDataset((x.float() - 4.9) / 6.0, y), batch_size=16, shuffle=True, drop_last=True)
model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for epoch in range(8):
    total = 0.0
    for i, (inputs, labels) in enumerate(loader):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        (loss / ACCUMULATE).backward()
        if (i + 1) % ACCUMULATE == 0:
            optimizer.step()
            optimizer.zero_grad()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")
