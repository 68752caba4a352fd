"""Invoices that auditors flagged, and a pile that nobody has looked at.

There are no labelled honest invoices: the pile is a mixture.  The risk is
the non-negative one for positive and unlabelled data (Kiryo et al., 2017).
"""
import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

PRIOR = 0.35


def invoices(rng, n, share):
    y = rng.random(n) < share
    x = rng.standard_normal((n, 10))
    x[y, 0] += 1.4
    x[y, 1] -= 1.2
    turn = np.where(y, 1.0, -1.0)
    x[:, 2] = x[:, 2] * 0.6 + 0.8 * turn * np.sign(x[:, 3])
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


class Scorer(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_in, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


def sigmoid_loss(score, sign):
    return torch.sigmoid(-sign * score).mean()


def pu_parts(score_pos, score_pile):
    positive = PRIOR * sigmoid_loss(score_pos, 1)
    negative = sigmoid_loss(score_pile, -1) - PRIOR * sigmoid_loss(score_pos, -1)
    return positive, negative


def main():
    torch.manual_seed(16)
    np.random.seed(16)
    rng = np.random.default_rng(np.random.randint(10 ** 6))
    flagged, _ = invoices(rng, 400, 1.0)
    pile, _ = invoices(rng, 6000, PRIOR)
    x_test, y_test = invoices(rng, 2000, PRIOR)

    model = Scorer(10)
    opt = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=5e-3)
    beta, gamma, batch = 0.0, 1.0, 300
    for epoch in range(60):
        model.train()
        turned = steps = 0
        risk = 0.0
        for idx in torch.randperm(len(pile)).split(batch):
            some = torch.randint(0, len(flagged), (batch // 3,))
            positive, negative = pu_parts(model(flagged[some]), model(pile[idx]))
            opt.zero_grad()
            if negative.item() < -beta:
                # the estimate of a risk cannot be below zero: climb back
                (-gamma * negative).backward()
                turned += 1
            else:
                (positive + negative).backward()
            opt.step()
            risk += (positive + negative).item()
            steps += 1
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1} risk {risk / steps:.4f} steps turned {turned}/{steps}")

    model.eval()
    with torch.no_grad():
        score = model(x_test)
    print(f"accuracy {((score > 0) == y_test).float().mean().item():.4f}")
    print(f"test auc {roc_auc_score(y_test.numpy(), score.numpy()):.4f}")


if __name__ == "__main__":
    main()
