import torch
import torch.nn as nn
import torch.nn.functional as F


def community_graph(n, k, p_in, p_out, gen):
    y = torch.arange(n) % k
    prob = torch.where(y[:, None] == y[None], torch.tensor(p_in), torch.tensor(p_out))
    upper = (torch.rand(n, n, generator=gen) < prob).float().triu(1)
    adj = upper + upper.t() + torch.eye(n)
    d = adj.sum(1).rsqrt()
    feats = torch.randn(n, 24, generator=gen)
    feats[torch.arange(n), y] += 1.2
    return d[:, None] * adj * d[None], feats, y


class GraphConv(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.lin = nn.Linear(n_in, n_out)

    def forward(self, a, h):
        return a @ self.lin(h)


class GCN(nn.Module):
    def __init__(self, n_in, hidden, n_out):
        super().__init__()
        self.g1 = GraphConv(n_in, hidden)
        self.g2 = GraphConv(hidden, n_out)

    def forward(self, a, x):
        h = F.relu(self.g1(a, x))
        return self.g2(a, h)


gen = torch.Generator().manual_seed(0)
torch.manual_seed(0)
A, X, Y = community_graph(420, 7, 0.12, 0.02, gen)
order = torch.randperm(420, generator=gen)
train_idx, test_idx = order[:140], order[140:]
model = GCN(24, 32, 7)
opt = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=5e-4)
for epoch in range(1, 201):
    model.train()
    opt.zero_grad()
    out = model(A, X)
    loss = F.cross_entropy(out[train_idx], Y[train_idx])
    loss.backward()
    opt.step()
    if epoch % 20 == 0:
        model.eval()
        with torch.no_grad():
            pred = model(A, X).argmax(1)
        acc_tr = (pred[train_idx] == Y[train_idx]).float().mean()
        acc_te = (pred[test_idx] == Y[test_idx]).float().mean()
        print(f"epoch {epoch} loss {loss:.4f} train {acc_tr:.3f} test {acc_te:.3f}")
