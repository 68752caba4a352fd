"""A cosine classifier trained with a gradient scaler; the normalizer of the softmax is written by hand."""

import torch
from sklearn.datasets import load_iris
from torch import nn


class CosineClassifier(nn.Module):
    def __init__(self, inputs, classes, width=32, temperature=0.03):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(inputs, width), nn.ELU(), nn.Linear(width, 16))
        self.prototypes = nn.Parameter(torch.randn(classes, 16))
        self.temperature = temperature

    def forward(self, x):
        embedded = nn.functional.normalize(self.embed(x), dim=1)
        return embedded @ nn.functional.normalize(self.prototypes, dim=1).T / self.temperature


def negative_log_likelihood(logits, label):
    logits = (logits - logits.mean(1, keepdim=True)).half()
    normalizer = torch.exp(logits).sum(1)
    return (normalizer.log() - logits.gather(1, label[:, None])[:, 0]).float().mean()


torch.manual_seed(9)
iris = load_iris()
x = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float32)
y = torch.tensor(iris.target)
shuffled = torch.randperm(150)
train, test = shuffled[:120], shuffled[120:]

model = CosineClassifier(4, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
scaler = torch.amp.GradScaler("cpu")
for epoch in range(20):
    for rows in train[torch.randperm(120)].split(24):
        loss = negative_log_likelihood(model(x[rows]), y[rows])
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    with torch.no_grad():
        correct = (model(x[test]).argmax(1) == y[test]).float().mean()
    if epoch % 4 == 3:
        print(f"epoch {epoch}: loss {loss.item():.4f} test {correct:.3f} scale {scaler.get_scale():g}")
