"""
Who plays in which team? People of the pub quiz, their favourite topics and with whom they sit.
Graph network, own implementation (torch_geometric did not install on my laptop).
"""
import os
import random

import numpy as np
import scipy.sparse
import torch
import torch.nn as nn
import torch.nn.functional as F


class QuizGraph:
    def __init__(self, seed, n=400, n_teams=6, n_topics=240):
        rng = np.random.RandomState(seed)
        self.team = rng.randint(0, n_teams, n)
        taste = rng.rand(n_teams, n_topics) < 0.06
        p = np.where(taste[self.team], 0.16, 0.04)
        self.topics = (rng.rand(n, n_topics) < p).astype(np.float32)
        same = self.team[:, None] == self.team[None, :]
        A = rng.rand(n, n) < np.where(same, 0.035, 0.007)
        A = np.triu(A, 1)
        self.A = (A + A.T).astype(np.float32)
        order = rng.permutation(n)
        self.train_idx = torch.tensor(order[:120])
        self.val_idx = torch.tensor(order[120:200])
        self.test_idx = torch.tensor(order[200:])

    def normalized(self):
        A = self.A + np.eye(len(self.A), dtype=np.float32)
        return A / A.sum(axis=1, keepdims=True)


class GraphConv(nn.Module):
    def __init__(self, n_in, n_out, A):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.A = A  # numpy, normalized

    def forward(self, h):
        h = self.linear(h)
        # mean over the neighbours
        h = torch.from_numpy(self.A @ h.detach().numpy())
        return h


class QuizGNN(nn.Module):
    def __init__(self, n_topics, n_hidden, n_teams, A):
        super().__init__()
        self.conv1 = GraphConv(n_topics, n_hidden, A)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(n_hidden, n_teams)

    def forward(self, x):
        h = self.act(self.conv1(x))
        return self.out(self.drop(h))


class Experiment:
    def __init__(self, graph, hidden=10, lr=0.01, epochs=1250):
        self.g = graph
        self.x = torch.tensor(graph.topics)
        self.y = torch.tensor(graph.team).long()
        self.model = QuizGNN(self.x.shape[1], hidden, int(self.y.max()) + 1, graph.normalized())
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr, weight_decay=5e-4)
        self.epochs = epochs
        self.best_val = 0
        self.test_at_best = 0

    def accuracy(self, idx):
        self.model.eval()
        with torch.no_grad():
            pred = self.model(self.x).argmax(dim=1)
        return (pred[idx] == self.y[idx]).float().mean().item()

    def run(self):
        for epoch in range(1, self.epochs + 1):
            self.model.train()
            self.optimizer.zero_grad()
            logits = self.model(self.x)
            loss = F.cross_entropy(logits[self.g.train_idx], self.y[self.g.train_idx])
            loss.backward()
            self.optimizer.step()
            if epoch % 10 == 0:
                val = self.accuracy(self.g.val_idx)
                if val > self.best_val:
                    self.best_val = val
                    self.test_at_best = self.accuracy(self.g.test_idx)
            if epoch % 100 == 0:
                print("epoch {:4d}  loss {:.4f}  train {:.3f}  val {:.3f}".format(
                    epoch, loss.item(), self.accuracy(self.g.train_idx), val))
        return self.test_at_best


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    exp = Experiment(QuizGraph(seed))
    test_acc = exp.run()
    print(f"best val {exp.best_val:.3f}")
    print(f"test acc: {test_acc:.4f}")


if __name__ == "__main__":
    main()
