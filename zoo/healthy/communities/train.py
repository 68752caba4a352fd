import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def block_graph(sizes, p_in, p_out, n_words, rng):
    """Stochastic block model; every node has a sparse bag of words."""
    label = np.repeat(np.arange(len(sizes)), sizes)
    n = len(label)
    p = np.where(label[:, None] == label[None], p_in, p_out)
    upper = np.triu(rng.random((n, n)) < p, 1)
    adj = (upper | upper.T).astype(np.float32)
    topics = rng.dirichlet(np.full(n_words, 0.3), len(sizes))
    common = rng.dirichlet(np.full(n_words, 0.3))
    bag = np.stack([rng.multinomial(15, 0.35 * topics[k] + 0.65 * common) for k in label])
    return torch.from_numpy(adj), torch.tensor(bag > 0, dtype=torch.float32), torch.from_numpy(label)


class GraphConv(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, a):
        return torch.sparse.mm(a, x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, n_in, hidden, n_out):
        super().__init__()
        self.conv1, self.conv2 = GraphConv(n_in, hidden), GraphConv(hidden, n_out)

    def forward(self, x, a):
        x = F.dropout(x, 0.5, self.training)
        x = F.relu(self.conv1(x, a))
        x = F.dropout(x, 0.5, self.training)
        return F.log_softmax(self.conv2(x, a), dim=1)


rng = np.random.default_rng(9)
torch.manual_seed(9)
adj, x, y = block_graph([300, 260, 220, 120], 0.02, 0.003, 120, rng)
a = adj + torch.eye(len(adj))
scale = a.sum(1).rsqrt()
a = (scale[:, None] * a * scale[None]).to_sparse()
x = x / x.sum(1, keepdim=True).clamp(min=1)

perm = torch.randperm(len(y))
train_idx = torch.cat([perm[y[perm] == k][:15] for k in range(4)])
rest = perm[~torch.isin(perm, train_idx)]
val_idx, test_idx = rest[:200], rest[200:]

model = GCN(x.shape[1], 24, 4)
optimizer = torch.optim.Adam(
    [
        {"params": model.conv1.parameters(), "weight_decay": 5e-4},
        {"params": model.conv2.parameters(), "weight_decay": 0.0},
    ],
    lr=0.01,
)
best_val, test_at_best, since = 0.0, 0.0, 0
for epoch in range(1, 401):
    model.train()
    out = model(x, a)
    loss = F.nll_loss(out[train_idx], y[train_idx])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    model.eval()
    with torch.no_grad():
        guess = model(x, a).argmax(1)
    val = (guess[val_idx] == y[val_idx]).float().mean().item()
    since += 1
    if val > best_val:
        best_val, since = val, 0
        test_at_best = (guess[test_idx] == y[test_idx]).float().mean().item()
    if epoch % 50 == 0:
        print(f"{epoch}: loss {loss.item():.3f} val {val:.3f}")
    if since > 150:
        break
print(f"stopped at {epoch}, best val {best_val:.3f}, test there {test_at_best:.3f} (largest class {(y == 0).float().mean():.3f})")
