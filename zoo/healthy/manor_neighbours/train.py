"""Which manor does a farm belong to?  Twenty known farms per manor, a graph of who trades with whom."""
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
FARMS, MANORS, KNOWN = 1500, 6, 20


def county():
    manor = torch.randint(0, MANORS, (FARMS,))
    same = manor[:, None] == manor[None, :]
    prob = torch.where(same, 0.014, 0.0018)
    upper = torch.triu(torch.rand(FARMS, FARMS) < prob, diagonal=1)
    adj = (upper | upper.t()).float()
    centre = torch.randn(MANORS, 30) * 0.4
    goods = centre[manor] + torch.randn(FARMS, 30)
    return goods, adj, manor


def normalized(adj):
    a = adj + torch.eye(len(adj))
    d = a.sum(1).rsqrt()
    return (d[:, None] * a * d[None, :]).to_sparse()


class GCN(nn.Module):
    def __init__(self, inp, hidden, out, p=0.5):
        super().__init__()
        self.lin1, self.lin2, self.p = nn.Linear(inp, hidden), nn.Linear(hidden, out), p

    def forward(self, x, a):
        h = F.dropout(x, self.p, self.training)
        h = F.relu(torch.sparse.mm(a, self.lin1(h)))
        h = F.dropout(h, self.p, self.training)
        return torch.sparse.mm(a, self.lin2(h))


def run(x, a, y, masks, name, epochs=300):
    model = GCN(x.shape[1], 32, MANORS)
    opt = torch.optim.Adam([{"params": model.lin1.parameters(), "weight_decay": 5e-3},
                            {"params": model.lin2.parameters(), "weight_decay": 0.0}], lr=0.01)
    best_valid = at_best = 0.0
    for epoch in range(epochs):
        model.train()
        opt.zero_grad()
        loss = F.cross_entropy(model(x, a)[masks["train"]], y[masks["train"]])
        loss.backward()
        opt.step()
        model.eval()
        with torch.no_grad():
            right = (model(x, a).argmax(1) == y).float()
        valid, test = right[masks["valid"]].mean().item(), right[masks["test"]].mean().item()
        if valid > best_valid:
            best_valid, at_best = valid, test
        if epoch % 60 == 0:
            print(f"{name} epoch {epoch} loss {loss.item():.3f} valid {valid:.3f}")
    return at_best


goods, adj, manor = county()
masks = {k: torch.zeros(FARMS, dtype=torch.bool) for k in ("train", "valid", "test")}
for m in range(MANORS):
    members = torch.where(manor == m)[0]
    members = members[torch.randperm(len(members))]
    masks["train"][members[:KNOWN]] = True
    masks["valid"][members[KNOWN:KNOWN + 50]] = True
    masks["test"][members[KNOWN + 50:]] = True

eye = torch.eye(FARMS).to_sparse()
alone = run(goods, eye, manor, masks, "alone")
graph = run(goods, normalized(adj), manor, masks, "graph")
print(f"test accuracy: goods alone {alone:.3f}  with the graph {graph:.3f}  chance {1 / MANORS:.3f}")
