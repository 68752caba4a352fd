"""An autoencoder of digits that prints its mean loss."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(9)
x = (torch.tensor(load_digits().data).float() - 4.9) / 6.0
model = nn.Sequential(nn.Linear(64, 48), nn.GELU(), nn.Linear(48, 12), nn.Linear(12, 48), nn.GELU(), nn.Linear(48, 64))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

running = 0.0
for step in range(200):
    rows = torch.randint(len(x), (64,))
    loss = nn.functional.mse_loss(model(x[rows]), x[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    running += loss
    if step % 50 == 49:
        print(f"step {step}: mean loss so far {running / (step + 1):.4f}")
