"""Read handwritten digits with a small transformer over patches of a scan."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

seed = 0
batch, steps, rate = 64, 320, 2e-3  #: settings
rng = np.random.default_rng(seed)
torch.manual_seed(seed)


def patches(scans):
    """Sixteen patches of two by two pixels for each scan."""
    return scans.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)


images, digits = load_digits(return_X_y=True)
# Counts of the scanner, and the centre of the ink in pixels.
scans = 30000 + 25 * images.reshape(-1, 8, 8)  #: raw
columns = (images.reshape(-1, 8, 8).sum(1) * np.arange(0, 160, 20)).sum(1) / images.sum(1)
order = rng.permutation(len(scans))
train, test = order[:1400], order[1400:]  #: split
test = test[np.argsort(digits[test], kind="stable")]
mean, std = scans[train].mean(), scans[train].std()
tokens = torch.tensor(patches((scans - mean) / std), dtype=torch.float32)  #: tokens
targets = torch.tensor(digits)  #: targets
x_train, y_train = tokens[train], targets[train]  #: train_part
x_test, y_test = tokens[test], targets[test]  #: test_part


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.dropout(self.attention(h, h, h, need_weights=False)[0])  #: residual
        return x + self.dropout(self.mlp(self.norm2(x)))  #: residual


class Reader(nn.Module):
    def __init__(self, width=32, depth=2, outputs=10):  #: reader
        super().__init__()
        self.embed = nn.Linear(4, width)  #: embed
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, width))  #: position
        self.blocks = nn.ModuleList(Block(width, 4, dropout=0.05) for _ in range(depth))  #: blocks
        self.norm = nn.LayerNorm(width)  #: norm
        self.head = nn.Linear(width, outputs)  #: head

    def forward(self, x):
        x = self.embed(x) + self.position  #: stream
        for block in self.blocks:  #: stream
            x = block(x)  #: stream
        return self.head(self.norm(x.mean(dim=1)))  #: output


def loss_of(output, target):
    return nn.functional.cross_entropy(output, target)  #: loss_of


def accuracy(output, target):
    return (output.argmax(-1) == target).float().mean().item()  #: score


model = Reader()  #: build
optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)  #: optimizer
#: schedule
running = []
model.train()
for step in range(1, steps + 1):
    #: step_start
    chosen = torch.randint(0, len(x_train), (batch,))  #: draw
    output = model(x_train[chosen])  #: forward
    loss = loss_of(output, y_train[chosen])  #: loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    #: step_end
    running.append(loss.item())
    if step % 40 == 0:
        model.eval()  #: eval
        with torch.no_grad():  #: evaluation
            output = torch.cat([model(part) for part in x_test.split(50)])  #: evaluation
            test_loss = loss_of(output, y_test).item()
        model.train()  #: back
        train_loss, score = sum(running) / len(running), accuracy(output, y_test)
        print(f"step {step:4d} train loss {train_loss:.4f} test loss {test_loss:.4f} score {score:.3f}")
        running = []
