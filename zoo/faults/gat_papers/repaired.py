from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    nodes: int = 260
    topics: int = 6
    words: int = 60
    hidden: int = 8
    heads: int = 4
    drop: float = 0.6
    lr: float = 0.005
    decay: float = 1e-3
    epochs: int = 120
    seed: int = 12


def citation_graph(cfg: Config) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    topic = torch.randint(0, cfg.topics, (cfg.nodes,))
    same = topic[:, None] == topic[None, :]
    adj = torch.rand(cfg.nodes, cfg.nodes) < torch.where(same, 0.08, 0.012)
    adj = (adj | adj.T) | torch.eye(cfg.nodes, dtype=torch.bool)
    rate = torch.full((cfg.topics, cfg.words), 0.10)
    per_topic = cfg.words // cfg.topics
    for k in range(cfg.topics):
        rate[k, k * per_topic : (k + 1) * per_topic] = 0.28
    return adj, torch.bernoulli(rate[topic]), topic


class GraphAttention(nn.Module):
    def __init__(self, n_in: int, n_out: int, heads: int, drop: float, merge: bool):
        super().__init__()
        self.heads, self.n_out, self.drop, self.merge = heads, n_out, drop, merge
        self.proj = nn.Linear(n_in, heads * n_out, bias=False)
        self.src = nn.Parameter(nn.init.xavier_normal_(torch.empty(heads, n_out)))
        self.dst = nn.Parameter(nn.init.xavier_normal_(torch.empty(heads, n_out)))

    def forward(self, h: torch.Tensor, adj: torch.Tensor) -> torch.Tensor:
        h = F.dropout(h, self.drop, self.training)
        z = self.proj(h).view(-1, self.heads, self.n_out)
        score = (z * self.dst).sum(-1)[:, None] + (z * self.src).sum(-1)[None]
        score = F.leaky_relu(score, 0.2).masked_fill(~adj[..., None], float("-inf"))
        alpha = score.softmax(dim=1)
        out = torch.einsum("ijh,jhd->ihd", alpha, z)
        return out.flatten(1) if self.merge else out.mean(1)


class GAT(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.first = GraphAttention(cfg.words, cfg.hidden, cfg.heads, cfg.drop, merge=True)
        self.second = GraphAttention(cfg.hidden * cfg.heads, cfg.topics, 1, cfg.drop, merge=False)

    def forward(self, x: torch.Tensor, adj: torch.Tensor) -> torch.Tensor:
        return self.second(F.elu(self.first(x, adj)), adj)


def main(cfg: Config) -> None:
    torch.manual_seed(cfg.seed)
    adj, x, y = citation_graph(cfg)
    order = torch.randperm(cfg.nodes)
    train, test = order[:90], order[90:]
    model = GAT(cfg)
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr, weight_decay=cfg.decay)
    for epoch in range(1, cfg.epochs + 1):
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, adj)[train], y[train])
        loss.backward()
        optimizer.step()
        if epoch % 20 == 0:
            model.eval()
            with torch.no_grad():
                out = model(x, adj)
            acc = (out[test].argmax(1) == y[test]).float().mean().item()
            nll = F.cross_entropy(out[test], y[test]).item()
            print(f"epoch {epoch} train loss {loss.item():.3f} test loss {nll:.3f} test acc {acc:.3f}")


if __name__ == "__main__":
    main(Config())
