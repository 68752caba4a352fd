"""Which of three rhythms a short recording has: a recurrent network that wants time first."""

import torch
from torch import nn

torch.manual_seed(0)
STEPS, CHANNELS, CLASSES = 21, 3, 3


def recordings(count):
    kind = torch.randint(0, CLASSES, (count,))
    time = torch.arange(STEPS) * 0.3
    phase = 6.28 * torch.rand(count, 1)
    waves = [torch.sin((kind[:, None] + 1.0) * time + phase + c) for c in range(CHANNELS)]
    return torch.stack(waves, dim=2) + 0.3 * torch.randn(count, STEPS, CHANNELS), kind


class Rhythm(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.rnn = nn.GRU(CHANNELS, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        x = x.permute(1, 0, 2)
        out, _ = self.rnn(x)
        return self.head(out[-1])


x, y = recordings(640)
x_test, y_test = recordings(200)
model = Rhythm()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(12):
    model.train()
    for rows in torch.randperm(len(x)).split(32):
        loss = loss_fn(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, right {right:.3f}")
