"""One of two workers' share of a distributed training (the other one's gradients are left out here)."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

torch.manual_seed(2)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
dataset = TensorDataset((x.float() - 4.9) / 6.0, y)
sampler = DistributedSampler(dataset, num_replicas=2, rank=0, shuffle=True, seed=7)
loader = DataLoader(dataset, batch_size=32, sampler=sampler)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(8):
    sampler.set_epoch(epoch)
    total = 0.0
    for inputs, labels in loader:
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")
