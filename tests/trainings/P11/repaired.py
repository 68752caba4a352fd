"""Digits on top of fixed principal components: the projection is computed beforehand and must stay."""

import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

torch.manual_seed(4)
digits = load_digits()
pixels = torch.tensor(digits.data, dtype=torch.float32) / 16 - 0.3
labels = torch.tensor(digits.target)
is_test = torch.arange(len(pixels)) % 5 == 0

pca = PCA(24, whiten=True, random_state=0).fit(pixels[~is_test].numpy())
weight = torch.tensor(pca.components_ / pca.explained_variance_[:, None] ** 0.5, dtype=torch.float32)
projection = nn.Linear(64, 24)
projection.load_state_dict({"weight": weight, "bias": -weight @ torch.tensor(pca.mean_, dtype=torch.float32)})

model = nn.Sequential(projection, nn.Linear(24, 64), nn.SiLU(), nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 10))
for parameter in projection.parameters():
    parameter.requires_grad = False

optimizer = torch.optim.RMSprop((p for p in model.parameters() if p.requires_grad), lr=1e-3)
criterion = nn.CrossEntropyLoss()
train_rows = torch.nonzero(~is_test).squeeze(1)

for epoch in range(6):
    shuffled = train_rows[torch.randperm(len(train_rows))]
    for start in range(0, len(shuffled), 64):
        batch = shuffled[start : start + 64]
        optimizer.zero_grad()
        loss = criterion(model(pixels[batch]), labels[batch])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        hit = (model(pixels[is_test]).argmax(1) == labels[is_test]).float().mean()
    moved = (projection.weight - weight).norm() / weight.norm()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}  test {hit:.3f}  projection moved by {moved:.3f}")
