# Screening of small molecule-like graphs: does an atom of kind 0 sit next to an atom of kind 1?
import torch
import torch.nn as nn
import torch.nn.functional as F

ATOMS, KINDS = 10, 5


def molecules(n, gen):
    """Random trees with one extra bond: adjacency n x 10 x 10, one-hot kinds, and the answer."""
    adj = torch.zeros(n, ATOMS, ATOMS)
    rows = torch.arange(n)
    for v in range(1, ATOMS):
        p = (torch.rand(n, generator=gen) * v).long()
        adj[rows, v, p] = adj[rows, p, v] = 1
    a, b = (torch.randint(ATOMS, (n,), generator=gen) for _ in range(2))
    b = torch.where(a == b, (b + 1) % ATOMS, b)
    adj[rows, a, b] = adj[rows, b, a] = 1
    x = F.one_hot(torch.randint(KINDS, (n, ATOMS), generator=gen), KINDS).float()
    found = x[:, :, 0].unsqueeze(1) @ adj @ x[:, :, 1].unsqueeze(2)
    return adj, x, (found.flatten() > 0).float()


class Convolution(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.Linear(n_out, n_out), nn.ReLU())

    def forward(self, adj, h):
        return self.mlp((1 + self.eps) * h + adj @ h)


class Screen(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.conv1 = Convolution(KINDS, hidden)
        self.conv2 = Convolution(hidden, hidden)
        self.read = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, adj, x):
        h1 = self.conv1(adj, x)
        h2 = self.conv2(adj, h1)
        pooled = torch.cat([h1.amax(1), h2.mean(1)], dim=1)
        return self.read(pooled).squeeze(1)


def optimizer_for(model, name, lr, weight_decay):
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    return kinds[name](model.parameters(), lr=lr, weight_decay=weight_decay)


settings = {"name": "adamw", "lr": 3e-3, "weight_decay": 0.1}

torch.manual_seed(14)
gen = torch.Generator().manual_seed(14)
train = molecules(3000, gen)
test = molecules(1000, gen)
model = Screen()
opt = optimizer_for(model, **settings)

for epoch in range(1, 10):
    model.train()
    losses = []
    for idx in torch.randperm(3000, generator=gen).split(64):
        adj, x, y = (t[idx] for t in train)
        loss = F.binary_cross_entropy_with_logits(model(adj, x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        right = ((model(test[0], test[1]) > 0).float() == test[2]).float().mean().item()
    print(f"epoch {epoch:02d} bce {sum(losses) / len(losses):.4f} right {right:.4f}")
