"""Which tune will a minstrel's listener ask for next?  Ranking with three optimizers for three kinds of parameters."""
import os

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
USERS, TUNES, TASTES, HEARD = 800, 400, 6, 24
DIM, EPOCHS, BATCH = 16, 25, 256


def requests(rng):
    user = rng.dirichlet(np.full(TASTES, 0.25), USERS)
    tune = rng.dirichlet(np.full(TASTES, 0.25), TUNES)
    fame = rng.normal(0, 0.6, TUNES)
    logit = 8 * user @ tune.T + fame
    noise = rng.gumbel(size=logit.shape)
    return np.argsort(-(logit + noise), axis=1)[:, :HEARD], logit      # each user's tunes, no order meant


class Ranker(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(USERS, DIM, sparse=True)
        self.tune = nn.Embedding(TUNES, DIM, sparse=True)
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.normal_(self.tune.weight, std=0.1)
        self.tower = nn.Linear(DIM, DIM, bias=False)
        nn.init.eye_(self.tower.weight)
        self.bias = nn.Parameter(torch.zeros(TUNES))

    def forward(self, users, tunes):
        return (self.tower(self.user(users)) * self.tune(tunes)).sum(-1) + self.bias[tunes]

    @torch.no_grad()
    def all_scores(self):
        return self.tower(self.user.weight) @ self.tune.weight.T + self.bias


def hit_rate(scores, known, wanted, k=20):
    scores = scores.clone()
    scores.scatter_(1, known, float("-inf"))                    # what was heard in training is not proposed again
    top = scores.topk(k, dim=1).indices
    return (top.unsqueeze(2) == wanted.unsqueeze(1)).any(1).float().mean().item()


torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)
tunes_of_user, true_logit = requests(rng)
heard = torch.tensor(np.array([rng.permutation(row) for row in tunes_of_user]))
train, test = heard[:, :-4], heard[:, -4:]
pairs = torch.stack([torch.arange(USERS).repeat_interleave(train.shape[1]), train.flatten()], 1)
is_known = torch.zeros(USERS, TUNES, dtype=torch.bool).scatter_(1, train, True)

model = Ranker()
optimizers = [
    torch.optim.SparseAdam([model.user.weight, model.tune.weight], lr=3e-3),
    torch.optim.AdamW(model.tower.parameters(), lr=1e-3, weight_decay=0.01),
    torch.optim.SGD([model.bias], lr=5.0),
]


def negatives(users):
    """For each user a tune that is not among the known ones."""
    drawn = torch.randint(TUNES, users.shape)
    while (bad := is_known[users, drawn]).any():
        drawn[bad] = torch.randint(TUNES, (int(bad.sum()),))
    return drawn


def one_epoch():
    total = 0.0
    for idx in torch.randperm(len(pairs)).split(BATCH):
        users, liked = pairs[idx].unbind(1)
        margin = model(users, liked) - model(users, negatives(users))
        touched = model.user(users).pow(2).sum(1) + model.tune(liked).pow(2).sum(1)
        loss = -nn.functional.logsigmoid(margin).mean() + 0.02 * touched.mean()
        for opt in optimizers:
            opt.zero_grad()
        loss.backward()
        for opt in optimizers:
            opt.step()
        total += loss.item() * len(idx)
    return total / len(pairs)


popular = torch.bincount(train.flatten(), minlength=TUNES).float().expand(USERS, TUNES)
for epoch in range(EPOCHS):
    loss = one_epoch()
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1} loss {loss:.4f}")
print(f"share of the hidden requests among twenty proposals: by chance {20 / (TUNES - train.shape[1]):.3f}, "
      f"popular tunes {hit_rate(popular, train, test):.3f}, trained {hit_rate(model.all_scores(), train, test):.3f}, "
      f"with the true tastes {hit_rate(torch.tensor(true_logit), train, test):.3f}")
