import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score


def community_graph(n=160, groups=4, p_in=0.25, p_out=0.01):
    """Stochastic block model; features are weakly related to the group."""
    z = np.random.randint(0, groups, n)
    prob = np.where(z[:, None] == z[None], p_in, p_out)
    upper = np.triu(np.random.rand(n, n) < prob, 1)
    feats = np.random.randn(n, 24) + 0.6 * np.eye(groups)[z] @ np.random.randn(groups, 24)
    return torch.tensor(feats, dtype=torch.float32), np.argwhere(upper)


class GraphEncoder(nn.Module):
    def __init__(self, d_in, d_hidden, d_out):
        super().__init__()
        self.w1 = nn.Linear(d_in, d_hidden)
        self.w2 = nn.Linear(d_hidden, d_out)

    def forward(self, x, adj):
        h = F.relu(self.w1(adj @ x))
        return self.w2(adj @ h)


class LinkDecoder(nn.Module):
    """Bilinear score of two nodes."""

    def __init__(self, d):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(d))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, z, pairs):
        return (z[pairs[:, 0]] * self.scale * z[pairs[:, 1]]).sum(1) + self.bias


def normalised(edges, n):
    a = torch.eye(n)
    a[edges[:, 0], edges[:, 1]] = 1
    a[edges[:, 1], edges[:, 0]] = 1
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d[None]


def main():
    torch.manual_seed(4)
    np.random.seed(4)
    x, edges = community_graph()
    n = len(x)
    edges = torch.tensor(edges[np.random.permutation(len(edges))])
    cut = int(0.8 * len(edges))
    train_pos, test_pos = edges[:cut], edges[cut:]
    test_neg = torch.randint(0, n, test_pos.shape)
    adj = normalised(train_pos, n)

    encoder = GraphEncoder(24, 32, 8)
    decoder = LinkDecoder(8)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.01)

    for it in range(1, 301):
        neg = torch.randint(0, n, train_pos.shape)
        pairs = torch.cat([train_pos, neg])
        label = torch.cat([torch.ones(len(train_pos)), torch.zeros(len(neg))])
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(decoder(encoder(x, adj), pairs), label)
        loss.backward()
        optimizer.step()
        if it % 50 == 0:
            with torch.no_grad():
                s = decoder(encoder(x, adj), torch.cat([test_pos, test_neg]))
            truth = [1] * len(test_pos) + [0] * len(test_neg)
            print(f"iter {it:3d} bce {loss.item():.4f} auc {roc_auc_score(truth, s.numpy()):.4f}")


main()
