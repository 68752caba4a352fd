"""Which guild does a merchant belong to? Two-layer graph convolution on a trade network (Kipf & Welling)."""
import argparse
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


def trade_network(n_per_guild=150, guilds=4, p_in=0.05, p_out=0.005, n_features=64, seed=0):
    g = torch.Generator().manual_seed(seed)
    n = n_per_guild * guilds
    label = torch.arange(guilds).repeat_interleave(n_per_guild)
    same = label[:, None] == label[None, :]
    prob = torch.where(same, p_in, p_out)
    upper = (torch.rand(n, n, generator=g) < prob).triu(1)
    adjacency = (upper | upper.T).float()
    # sparse bag of wares: every guild has a few favourites, all wares occur everywhere
    favourite = torch.rand(guilds, n_features, generator=g) < 0.12
    rate = torch.where(favourite[label], 0.18, 0.06)
    wares = (torch.rand(n, n_features, generator=g) < rate).float()
    return wares, adjacency, label


def normalize(adjacency):
    a = adjacency + torch.eye(len(adjacency))
    d = a.sum(1).rsqrt()
    return (d[:, None] * a * d[None, :]).to_sparse_csr()


def make_masks(label, per_class, n_val, seed):
    g = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(label), generator=g)
    train = torch.zeros(len(label), dtype=torch.bool)
    for c in label.unique():
        train[order[label[order] == c][:per_class]] = True
    rest = order[~train[order]]
    val, test = torch.zeros_like(train), torch.zeros_like(train)
    val[rest[:n_val]] = True
    test[rest[n_val:]] = True
    return train, val, test


class GCN(nn.Module):
    def __init__(self, n_in, hidden, n_out, dropout):
        super().__init__()
        self.lin1 = nn.Linear(n_in, hidden, bias=False)
        self.lin2 = nn.Linear(hidden, n_out, bias=False)
        self.bias1 = nn.Parameter(torch.zeros(hidden))
        self.bias2 = nn.Parameter(torch.zeros(n_out))
        self.dropout = dropout

    def forward(self, a_hat, x):
        x = F.dropout(x, self.dropout, self.training)
        h = F.relu(a_hat @ self.lin1(x) + self.bias1)
        h = F.dropout(h, self.dropout, self.training)
        return a_hat @ self.lin2(h) + self.bias2


def accuracy(logits, label, mask):
    return (logits[mask].argmax(1) == label[mask]).float().mean().item()


def train_epoch(model, a_hat, x, label, mask, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(a_hat, x)[mask], label[mask])
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def evaluate(model, a_hat, x, label, mask):
    model.eval()
    logits = model(a_hat, x)
    return F.cross_entropy(logits[mask], label[mask]).item(), accuracy(logits, label, mask)


def main(args):
    torch.manual_seed(args.seed)
    wares, adjacency, label = trade_network()
    x = wares / wares.sum(1, keepdim=True).clamp(min=1)     # row-normalized bags
    a_hat = normalize(adjacency)
    train, val, test = make_masks(label, per_class=15, n_val=140, seed=args.seed)

    model = GCN(x.shape[1], args.hidden, int(label.max()) + 1, args.dropout)
    optimizer = torch.optim.Adam([
        {"params": model.lin1.parameters(), "weight_decay": args.weight_decay},
        {"params": [model.lin2.weight, model.bias1, model.bias2]},
    ], lr=args.lr)

    best_val, best_state, since = float("inf"), None, 0
    for epoch in range(args.epochs):
        loss = train_epoch(model, a_hat, x, label, train, optimizer)
        val_loss, val_acc = evaluate(model, a_hat, x, label, val)
        if val_loss < best_val:
            best_val, best_state, since = val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            since += 1
        if epoch % 40 == 0:
            print(f"epoch {epoch:3d}  train loss {loss:.3f}  val loss {val_loss:.3f}  val acc {val_acc:.3f}")
        if since > args.patience:
            print(f"early stop at epoch {epoch}")
            break
    model.load_state_dict(best_state)
    _, test_acc = evaluate(model, a_hat, x, label, test)
    print(f"test accuracy {test_acc:.4f} with {int(train.sum())} labelled merchants (chance 0.25)")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=1e-2)
    p.add_argument("--hidden", type=int, default=32)
    p.add_argument("--dropout", type=float, default=0.5)
    p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--epochs", type=int, default=400)
    p.add_argument("--patience", type=int, default=60)
    p.add_argument("--seed", type=int, default=2)
    main(p.parse_args())
