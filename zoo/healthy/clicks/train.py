"""Click prediction from categorical fields with a factorization machine and a small network on one embedding table."""
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import nn

FIELDS = {"hour": 24, "site": 120, "advert": 80, "device": 5, "region": 30}
SIZES = list(FIELDS.values())


def impressions(n, taste):
    """Ids of the five fields and whether the advert was clicked (about one in fifteen)."""
    cols = [torch.from_numpy(np.random.zipf(1.3, n) % size) for size in SIZES]
    ids = torch.stack(cols, dim=1)
    by_field, site_vec, advert_vec = taste
    score = sum(t[c] for t, c in zip(by_field, cols)) + (site_vec[cols[1]] * advert_vec[cols[2]]).sum(1)
    clicked = torch.bernoulli(torch.sigmoid(score - 3.6))
    return ids, clicked


class DeepFM(nn.Module):
    def __init__(self, dim=8, hidden=32, base_rate=0.06):
        super().__init__()
        total = sum(SIZES)
        self.register_buffer("offset", torch.tensor([0, *SIZES[:-1]]).cumsum(0))
        self.linear = nn.Embedding(total, 1, sparse=True)
        self.factors = nn.Embedding(total, dim, sparse=True)
        nn.init.zeros_(self.linear.weight)
        nn.init.normal_(self.factors.weight, std=0.05)
        self.deep = nn.Sequential(nn.Linear(dim * len(SIZES), hidden), nn.ReLU(), nn.Linear(hidden, 1, bias=False))
        self.bias = nn.Parameter(torch.tensor(float(np.log(base_rate / (1 - base_rate)))))

    def forward(self, ids):
        ids = ids + self.offset
        v = self.factors(ids)
        pairs = 0.5 * (v.sum(1).square() - v.square().sum(1)).sum(1)
        return self.bias + self.linear(ids).sum((1, 2)) + pairs + self.deep(v.flatten(1)).squeeze(1)


np.random.seed(37)
torch.manual_seed(37)
taste = [0.7 * torch.randn(s) for s in SIZES], 0.7 * torch.randn(SIZES[1], 3), 0.7 * torch.randn(SIZES[2], 3)
ids, clicked = impressions(16000, taste)
test_ids, test_clicked = impressions(6000, taste)

model = DeepFM(base_rate=clicked.mean().item())
tables = torch.optim.SparseAdam([model.linear.weight, model.factors.weight], lr=3e-3)
dense = torch.optim.Adam([*model.deep.parameters(), model.bias], lr=1e-3)
for epoch in range(1, 4):
    model.train()
    total = 0.0
    for rows in torch.randperm(len(ids)).split(128):
        tables.zero_grad()
        dense.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(ids[rows]), clicked[rows])
        loss.backward()
        tables.step()
        dense.step()
        total += loss.item() * len(rows)
    model.eval()
    with torch.no_grad():
        logit = model(test_ids)
    test = F.binary_cross_entropy_with_logits(logit, test_clicked).item()
    auc = roc_auc_score(test_clicked.numpy(), logit.numpy())
    print(f"epoch {epoch} train {total / len(ids):.4f} test {test:.4f} auc {auc:.4f}")
print(f"clicked {test_clicked.mean():.3f}, predicted {logit.sigmoid().mean():.3f}")
