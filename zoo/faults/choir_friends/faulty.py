"""Which choir does each singer belong to? Graph convolution over friendships, few singers are labelled."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
np.random.seed(12)
N, CHOIRS, FEATURES, PER_CLASS = 600, 6, 40, 15

choir = np.random.randint(0, CHOIRS, N)
same = choir[:, None] == choir[None, :]
friends = np.triu(np.random.rand(N, N) < np.where(same, 0.045, 0.005), 1)
friends = friends | friends.T
taste = np.random.rand(CHOIRS, FEATURES) < 0.35
songs = np.random.rand(N, FEATURES) < np.where(taste[choir], 0.45, 0.25)

adj = torch.tensor(friends, dtype=torch.float32) + torch.eye(N)
deg = adj.sum(1).rsqrt()
adj = (deg[:, None] * adj * deg[None, :]).to_sparse()
x = torch.tensor(songs, dtype=torch.float32)
x = x / x.sum(1, keepdim=True).clamp(min=1)
y = torch.tensor(choir)

order = torch.randperm(N)
train_idx = torch.cat([order[y[order] == c][:PER_CLASS] for c in range(CHOIRS)])
others = order[~torch.isin(order, train_idx)]
val_idx, test_idx = others[:150], others[150:]


class GCN(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.w1 = nn.Linear(FEATURES, hidden)
        self.w2 = nn.Linear(hidden, CHOIRS)

    def forward(self, x, adj):
        x = F.dropout(x, 0.6)
        h = F.relu(torch.sparse.mm(adj, self.w1(x)))
        h = F.dropout(h, 0.6)
        return torch.sparse.mm(adj, self.w2(h))


model = GCN()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)


def score(idx):
    model.eval()
    with torch.no_grad():
        out = model(x, adj)
    return (out[idx].argmax(1) == y[idx]).float().mean().item()


best_val, best_state = 0.0, None
for epoch in range(1, 601):
    model.train()
    loss = F.cross_entropy(model(x, adj)[train_idx], y[train_idx])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        val = score(val_idx)
        if val > best_val:
            best_val = val
            best_state = {k: v.clone() for k, v in model.state_dict().items()}
        if epoch % 100 == 0:
            print(f"epoch {epoch:4d}  loss {loss.item():.4f}  val {val:.3f}")

model.load_state_dict(best_state)
print(f"best val {best_val:.3f}")
print(f"test accuracy {score(test_idx):.4f}")
