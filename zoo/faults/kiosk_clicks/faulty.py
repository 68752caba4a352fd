"""Click-through rate of offers on a station kiosk screen, attentional factorization machine."""
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
np.random.seed(3)

FIELD_DIMS = [24, 7, 12, 30, 5, 10]     # hour, weekday, station, offer, weather, ticket type


def simulate(n):
    fields = np.stack([np.random.randint(0, d, n) for d in FIELD_DIMS], 1)
    latent = [np.random.normal(0, 0.75, (d, 4)) for d in FIELD_DIMS]
    bias = [np.random.normal(0, 0.35, d) for d in FIELD_DIMS]
    score = sum(b[fields[:, i]] for i, b in enumerate(bias)) - 0.8
    for i in range(len(FIELD_DIMS)):
        for j in range(i + 1, len(FIELD_DIMS)):
            score = score + 0.8 * (latent[i][fields[:, i]] * latent[j][fields[:, j]]).sum(1)
    clicks = np.random.rand(n) < 1 / (1 + np.exp(-score))
    return torch.tensor(fields), torch.tensor(clicks, dtype=torch.float32)


class AttentionalFM(nn.Module):
    def __init__(self, field_dims, embed_dim=12, attn_size=12, dropouts=(0.3, 0.3)):
        super().__init__()
        offsets = np.concatenate([[0], np.cumsum(field_dims)[:-1]])
        self.register_buffer("offsets", torch.tensor(offsets))
        self.embedding = nn.Embedding(sum(field_dims), embed_dim)
        self.linear = nn.Embedding(sum(field_dims), 1)
        self.bias = nn.Parameter(torch.zeros(1))
        self.attention = nn.Linear(embed_dim, attn_size)
        self.projection = nn.Linear(attn_size, 1)
        self.fc = nn.Linear(embed_dim, 1)
        self.dropouts = dropouts
        nn.init.normal_(self.embedding.weight, std=0.3)
        nn.init.zeros_(self.linear.weight)
        pairs = torch.combinations(torch.arange(len(field_dims)), 2)
        self.register_buffer("row", pairs[:, 0])
        self.register_buffer("col", pairs[:, 1])

    def interactions(self, x):
        emb = self.embedding(x)
        inner = emb[:, self.row] * emb[:, self.col]
        scores = F.softmax(self.projection(F.relu(self.attention(inner))), dim=1)
        scores = F.dropout(scores, p=self.dropouts[0])
        pooled = (scores * inner).sum(1) * len(self.row)
        pooled = F.dropout(pooled, p=self.dropouts[1])
        return self.fc(pooled)

    def forward(self, x):
        x = x + self.offsets
        return (self.bias + self.linear(x).sum(1) + self.interactions(x)).squeeze(1)


def train_epoch(model, optimizer, loader):
    model.train()
    total = 0.0
    for fields, clicks in loader:
        loss = F.binary_cross_entropy_with_logits(model(fields), clicks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def auc(model, loader):
    model.eval()
    scores, truth = [], []
    with torch.no_grad():
        for fields, clicks in loader:
            scores.append(torch.sigmoid(model(fields)))
            truth.append(clicks)
    return roc_auc_score(torch.cat(truth).numpy(), torch.cat(scores).numpy())


def main():
    fields, clicks = simulate(16000)
    train = TensorDataset(fields[:12000], clicks[:12000])
    valid = TensorDataset(fields[12000:14000], clicks[12000:14000])
    test = TensorDataset(fields[14000:], clicks[14000:])
    loader = DataLoader(train, batch_size=128, shuffle=True)
    model = AttentionalFM(FIELD_DIMS)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-6)
    for epoch in range(12):
        loss = train_epoch(model, optimizer, loader)
        print(f"epoch {epoch + 1:2d}  logloss {loss:.4f}  valid auc {auc(model, DataLoader(valid, 500)):.4f}")
    print(f"test auc {auc(model, DataLoader(test, 500)):.4f}")


main()
