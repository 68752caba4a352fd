"""A lending library: who liked which book.  Matrix factorization with biases, sparse embedding gradients
(SparseAdam for the tables, plain SGD for the global mean), and readers that a batch does not mention
get no update.  Ratings 1..5 are centred by the training mean; the prediction is not squashed into 1..5.
"""
import os
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
READERS, BOOKS, RANK = 500, 300, 4


def loans():
    u, v = torch.randn(READERS, RANK), torch.randn(BOOKS, RANK)
    ub, vb = 0.4 * torch.randn(READERS), 0.5 * torch.randn(BOOKS)
    full = 3.4 + ub[:, None] + vb[None] + 0.45 * (u @ v.T)
    seen = torch.rand(READERS, BOOKS) < 0.26
    r, b = seen.nonzero(as_tuple=True)
    y = (full[r, b] + 0.4 * torch.randn(len(r))).round().clamp(1, 5)
    return r, b, y


class Taste(nn.Module):
    def __init__(self, k=6):
        super().__init__()
        self.reader, self.book = nn.Embedding(READERS, k, sparse=True), nn.Embedding(BOOKS, k, sparse=True)
        self.reader_bias, self.book_bias = nn.Embedding(READERS, 1, sparse=True), nn.Embedding(BOOKS, 1, sparse=True)
        for e in (self.reader, self.book):
            nn.init.normal_(e.weight, std=0.1)
        for e in (self.reader_bias, self.book_bias):
            nn.init.zeros_(e.weight)
        self.mean = nn.Parameter(torch.zeros(()))

    def forward(self, r, b):
        p, q = self.reader(r), self.book(b)
        guess = self.mean + (p * q).sum(1) + self.reader_bias(r).squeeze(1) + self.book_bias(b).squeeze(1)
        return guess, (p.pow(2).sum(1) + q.pow(2).sum(1)).mean()


r, b, y = loans()
order = torch.randperm(len(y))
cut = int(0.85 * len(y))
tr, te = order[:cut], order[cut:]
centre = y[tr].mean()
ds = TensorDataset(r[tr], b[tr], y[tr] - centre)
# the dataset is indexed with whole batches; the loader does no collating
sampler = BatchSampler(RandomSampler(ds), 256, drop_last=False)
loader = DataLoader(ds, sampler=sampler, batch_size=None)

model = Taste()
tables = [p for n, p in model.named_parameters() if n != "mean"]
opt_tables = torch.optim.SparseAdam(tables, lr=1e-2)
opt_mean = torch.optim.SGD([model.mean], lr=1e-2)


@torch.no_grad()
def rmse(idx):
    guess, _ = model(r[idx], b[idx])
    return (guess + centre - y[idx]).pow(2).mean().sqrt().item()


def biases_only():
    res = y[tr] - centre
    ub, vb = torch.zeros(READERS), torch.zeros(BOOKS)
    for _ in range(20):
        ub = torch.zeros(READERS).index_add_(0, r[tr], res - vb[b[tr]]) / (torch.bincount(r[tr], minlength=READERS) + 3)
        vb = torch.zeros(BOOKS).index_add_(0, b[tr], res - ub[r[tr]]) / (torch.bincount(b[tr], minlength=BOOKS) + 3)
    return (centre + ub[r[te]] + vb[b[te]] - y[te]).pow(2).mean().sqrt().item()


EPOCHS = 22
for ep in range(1, EPOCHS + 1):
    if ep == 15:
        for g in opt_tables.param_groups:
            g["lr"] = 2e-3
    se = 0.0
    for rr, bb, yy in loader:
        guess, size = model(rr, bb)
        err = (guess - yy).pow(2).mean()
        loss = err + 0.04 * size
        opt_tables.zero_grad(); opt_mean.zero_grad()
        loss.backward()
        opt_tables.step(); opt_mean.step()
        se += err.item() * len(yy)
    if ep % 4 == 0:
        print(f"epoch {ep} train rmse {(se / cut) ** 0.5:.4f}")
print(f"held-out rmse {rmse(te):.4f}; biases only {biases_only():.4f}; the mean {y[te].std():.4f}")
