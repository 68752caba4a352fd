"""Does a sequence drift upwards? One LSTM, one output, binary cross-entropy."""

import torch
from torch import nn


class DriftDetector(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)
        self.activation = nn.Sigmoid()

    def forward(self, sequence):
        _, (h, _) = self.lstm(sequence)
        return self.activation(self.head(h[-1]))


def make_batch(n, generator):
    label = torch.randint(0, 2, (n, 1), generator=generator).float()
    time = torch.linspace(-1, 1, 16)
    slope = (2 * label - 1) * (0.5 + torch.rand(n, 1, generator=generator))
    value = slope * time + 0.5 * torch.randn(n, 16, generator=generator)
    clock = time.expand(n, 16)
    return torch.stack([value, clock], dim=2), label


torch.manual_seed(11)
data = torch.Generator().manual_seed(5)
model = DriftDetector()
loss_function = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
validation = make_batch(256, torch.Generator().manual_seed(6))

for step in range(1, 121):
    model.train()
    sequence, label = make_batch(32, data)
    loss = loss_function(model(sequence), label)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 30 == 0:
        model.eval()
        with torch.no_grad():
            correct = (model(validation[0]).round() == validation[1]).float().mean().item()
        print(f"step {step}: loss {loss.item():.3f}, validation accuracy {correct:.3f}")
