"""Which of four rules made a sequence of symbols? LSTM, Adam."""

import argparse

import numpy as np
import torch
from torch import nn

STEPS, BATCH, LENGTH, SYMBOLS = 300, 64, 24, 8


def sequences(count, rng):
    """Each rule is a random table of which symbol follows which."""
    tables = np.random.default_rng(7).dirichlet(np.full(SYMBOLS, 0.5), (4, SYMBOLS)).cumsum(-1)
    rule = rng.integers(0, 4, count)
    symbols = np.zeros((count, LENGTH), dtype=np.int64)
    symbols[:, 0] = rng.integers(0, SYMBOLS, count)
    for t in range(1, LENGTH):
        follows = tables[rule, symbols[:, t - 1]]
        symbols[:, t] = (rng.random((count, 1)) > follows).sum(1).clip(max=SYMBOLS - 1)
    return torch.from_numpy(symbols), torch.from_numpy(rule)


class Classifier(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, 16)
        self.lstm = nn.LSTM(16, width, batch_first=True)
        self.out = nn.Linear(width, 4)

    def forward(self, symbols):
        _, (state, _) = self.lstm(self.embedding(symbols))
        return self.out(state[-1])


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-2)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
torch.manual_seed(options.seed)
rng = np.random.default_rng(options.seed)
x_train, y_train = sequences(2000, rng)
x_test, y_test = sequences(400, rng)
model = Classifier()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
losses = []
for step in range(STEPS):
    chosen = torch.randint(len(x_train), (BATCH,))
    loss = criterion(model(x_train[chosen]), y_train[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if (step + 1) % 60 == 0:
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"step {step + 1} loss {losses[-1]:.4f} accuracy {accuracy:.3f}")
print(f"first {losses[0]:.6g} final {sum(losses[-30:]) / 30:.6g} steps {len(losses)}")
