# Two of the key presses in a row count, marked by a flag. Were they rising, the same, or falling?
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(17)
STEPS, KEYS, HIDDEN = 12, 4, 48


def presses(n):
    key = torch.randint(0, KEYS, (n, STEPS))
    armed = torch.zeros(n, STEPS)
    where = torch.rand(n, STEPS - 2).topk(2, dim=1).indices
    armed.scatter_(1, where, 1.0)
    x = torch.cat([F.one_hot(key, KEYS).float(), armed.unsqueeze(-1)], dim=-1)
    first, second = where.sort(dim=1).values.T
    rows = torch.arange(n)
    return x, torch.sign(key[rows, second] - key[rows, first]) + 1


class Lock(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(KEYS + 1, HIDDEN)
        self.out = nn.Linear(HIDDEN, 3)

    def forward(self, x):
        h = x.new_zeros(x.size(0), HIDDEN)
        for t in range(x.size(1)):
            h = self.cell(x[:, t], h.detach())
        return self.out(h)


x_train, y_train = presses(3000)
x_val, y_val = presses(600)
net = Lock()
optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)

for epoch in range(16):
    perm = torch.randperm(len(x_train))
    total = 0.0
    for idx in perm.split(100):
        logits = net(x_train[idx])
        loss = F.cross_entropy(logits, y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(idx)
    with torch.no_grad():
        acc = (net(x_val).argmax(1) == y_val).float().mean()
    print(f"epoch {epoch} train loss {total / len(x_train):.3f} val acc {acc:.3f}")
