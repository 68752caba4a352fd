"""Few examples, some with a wrong label, and a network that is wide enough to learn them by heart."""

import torch
from sklearn.datasets import make_classification
from torch import nn

EPOCHS = 12

torch.manual_seed(15)
x, y = make_classification(400, 30, n_informative=6, flip_y=0.25, random_state=2)
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
x = (x - x.mean(0)) / x.std(0)
x_train, y_train, x_test, y_test = x[:120], y[:120], x[120:], y[120:]
model = nn.Sequential(nn.Linear(30, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(EPOCHS):
    model.train()
    for rows in torch.randperm(len(x_train)).split(30):
        loss = nn.functional.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 4 == 3:
        model.eval()
        with torch.no_grad():
            test_loss = nn.functional.cross_entropy(model(x_test), y_test)
        print(f"epoch {epoch}: training loss {loss.item():.3f}, test loss {test_loss.item():.3f}")
