"""Predict the delay at road junctions from the flows at the junctions that lead there."""
import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import nn


class Town:
    def __init__(self, rng: np.random.Generator, n: int = 60):
        places = rng.uniform(size=(n, 2))
        roads = set()
        for a, b, c in Delaunay(places).simplices:
            roads |= {(a, b), (b, a), (b, c), (c, b), (a, c), (c, a)}
        roads = sorted(r for r in roads if rng.uniform() < 0.8)
        flow = rng.normal(size=(n, 4)).astype(np.float32)
        into = np.zeros((n, n), dtype=np.float32)
        for a, b in roads:
            into[b, a] = 1
        into /= np.maximum(into.sum(1, keepdims=True), 1)
        near = into @ flow
        delay = 1.5 * near[:, 0] - 1.2 * near[:, 1] * (flow[:, 2] > 0) + 0.4 * flow[:, 3] + 0.05 * rng.normal(size=n)
        self.flow = torch.from_numpy(flow)
        self.edge_index = torch.tensor(np.array(roads), dtype=torch.long).t()
        self.delay = torch.from_numpy(delay.astype(np.float32))


class MeanConv(nn.Module):
    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.own = nn.Linear(n_in, n_out)
        self.nbr = nn.Linear(n_in, n_out, bias=False)

    def forward(self, h, edge_index):
        src, dst = edge_index
        total = torch.zeros_like(h).index_add(0, dst, h[src])
        degree = torch.zeros(len(h)).index_add(0, dst, torch.ones(len(dst)))
        return self.own(h) + self.nbr(total / degree.clamp(min=1)[:, None])


class Net(nn.Module):
    def __init__(self, hidden: int = 48):
        super().__init__()
        self.c1 = MeanConv(4, hidden)
        self.c2 = MeanConv(hidden, hidden)
        self.head = nn.Linear(hidden, 1)

    def forward(self, h, edge_index):
        h = torch.relu(self.c1(h, edge_index))
        h = torch.relu(self.c2(h, edge_index))
        return self.head(h).squeeze(-1)


def collate(towns):
    shift = np.cumsum([0] + [len(t.flow) for t in towns])
    edges = torch.cat([t.edge_index + int(s) for t, s in zip(towns, shift)], dim=1)
    return torch.cat([t.flow for t in towns]), edges, torch.cat([t.delay for t in towns])


class Trainer:
    def __init__(self, model, train, test, lr=5e-3):
        self.model, self.train_towns, self.test_towns = model, train, test
        self.opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-3)
        self.loss_fn = nn.MSELoss()

    def epoch(self):
        self.model.train()
        losses = []
        for idx in torch.randperm(len(self.train_towns)).split(8):
            flow, edges, delay = collate([self.train_towns[i] for i in idx])
            loss = self.loss_fn(self.model(flow, edges), delay)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    def r2(self):
        self.model.eval()
        flow, edges, delay = collate(self.test_towns)
        with torch.no_grad():
            rest = (self.model(flow, edges) - delay).square().mean()
        return 1 - (rest / delay.var()).item()

    def fit(self, epochs):
        for e in range(1, epochs + 1):
            loss = self.epoch()
            if e % 5 == 0:
                print(f"epoch {e} loss {loss:.4f} r2 {self.r2():.3f}")


if __name__ == "__main__":
    np.random.seed(2)
    torch.manual_seed(2)
    rng = np.random.default_rng(np.random.randint(10**6))
    towns = [Town(rng) for _ in range(100)]
    Trainer(Net(), towns[:80], towns[80:]).fit(30)
