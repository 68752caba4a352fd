"""Which river system does a fish ladder belong to? Semi-supervised GraphSAGE on one graph."""
import copy

import torch
from torch import nn
import torch.nn.functional as F

gen = torch.Generator().manual_seed(4)
torch.manual_seed(4)

# --- a planted-partition graph with weak node features
N, CLASSES, DIM = 1200, 5, 20
label = torch.arange(N) % CLASSES
same = label[:, None] == label[None, :]
p_edge = torch.where(same, 0.018, 0.0016)
upper = torch.triu(torch.rand(N, N, generator=gen) < p_edge, diagonal=1)
src, dst = (upper | upper.T).nonzero(as_tuple=True)
centres = torch.randn(CLASSES, DIM, generator=gen)
feats = 0.45 * centres[label] + torch.randn(N, DIM, generator=gen)
feats = (feats - feats.mean(0)) / feats.std(0)
degree = torch.bincount(dst, minlength=N).clamp(min=1).unsqueeze(1)

order = torch.randperm(N, generator=gen)
train_idx, val_idx, test_idx = order[:120], order[120:320], order[320:]
print(f"{N} ladders, {len(src) // 2} links, {len(train_idx)} labelled")


class SageLayer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.own = nn.Linear(n_in, n_out)
        self.neighbours = nn.Linear(n_in, n_out, bias=False)

    def forward(self, h):
        gathered = torch.zeros_like(h).index_add(0, dst, h[src]) / degree
        return self.own(h) + self.neighbours(gathered)


class RiverNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.first = SageLayer(DIM, hidden)
        self.second = SageLayer(hidden, CLASSES)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        h = F.relu(self.first(self.dropout(x)))
        return self.second(self.dropout(h))


def evaluate(net, idx):
    net.eval()
    with torch.no_grad():
        out = net(feats)[idx]
    return F.cross_entropy(out, label[idx]).item(), (out.argmax(1) == label[idx]).float().mean().item()


net = RiverNet()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=5e-4)
criterion = nn.CrossEntropyLoss()
best, best_state, stale = float("inf"), None, 0
for epoch in range(1, 301):
    net.train()
    loss = criterion(net(feats)[train_idx], label[train_idx])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    val_loss, val_acc = evaluate(net, val_idx)
    if val_loss < best:
        best, best_state, stale = val_loss, copy.deepcopy(net.state_dict()), 0
    else:
        stale += 1
        if stale == 40:
            print(f"no progress for 40 epochs, stopping at {epoch}")
            break
    if epoch % 20 == 0:
        print(f"epoch {epoch:3d}  train {loss.item():.3f}  val {val_loss:.3f}  acc {val_acc:.3f}")

net.load_state_dict(best_state)
_, acc = evaluate(net, test_idx)

flat = nn.Linear(DIM, CLASSES)
flat_opt = torch.optim.Adam(flat.parameters(), lr=0.01, weight_decay=5e-3)
for _ in range(200):
    flat_opt.zero_grad()
    criterion(flat(feats[train_idx]), label[train_idx]).backward()
    flat_opt.step()
_, flat_acc = evaluate(flat, test_idx)
print(f"test accuracy {acc:.4f}; the same labels without the graph {flat_acc:.4f}; chance {1 / CLASSES:.2f}")
