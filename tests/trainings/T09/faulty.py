"""Two classes of tumours, told apart by one logit."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(7)
x, y = (torch.tensor(a, dtype=torch.float32) for a in load_breast_cancer(return_X_y=True))
x = (x - x.mean(0)) / x.std(0)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.4, random_state=0, stratify=y)
model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(12):
    model.train()
    for rows in torch.randperm(len(x_train)).split(32):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x_train[rows])[:, 0], y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        predicted = (model(x_test) > 0).float()
        accuracy = (predicted == y_test).float().mean()
    print(f"epoch {epoch}: training loss {loss.item():.3f}, test accuracy {accuracy:.3f}")
