"""A recurrent network integrates a noisy signal: it answers with the scaled sum of the sequence."""

import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, nonlinearity="relu", batch_first=True)
        nn.init.eye_(self.rnn.weight_hh_l0)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.out(states[:, -1]).squeeze(-1)


def batch(size=32, length=30):
    signal = torch.randn(size, length)
    clock = torch.linspace(-1, 1, length).expand(size, length)
    return torch.stack([signal, clock], -1), signal.sum(1) / length**0.5


torch.manual_seed(3)
model = Recurrent()
optimizer = torch.optim.SGD(model.parameters(), lr=0.006, momentum=0.9)
criterion = nn.MSELoss()
for step in range(150):
    inputs, answers = batch()
    optimizer.zero_grad()
    loss = criterion(model(inputs), answers)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 10 == 0:
        print(f"{step:4d} loss {loss.item():.4g} gradient {model.rnn.weight_hh_l0.grad.norm():.4g}")
