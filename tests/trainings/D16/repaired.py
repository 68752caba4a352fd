"""Which species is this flower? Labels come as names, in two tables."""

import torch
from sklearn.datasets import load_iris
from torch import nn

torch.manual_seed(8)
iris = load_iris()
names = [iris.target_names[t] for t in iris.target]
features = torch.tensor(iris.data, dtype=torch.float32)
features = (features - features.mean(0)) / features.std(0)
order = torch.randperm(len(names)).tolist()


def table(rows, numbers=None):
    labels = [names[r] for r in rows]
    numbers = numbers or {name: i for i, name in enumerate(dict.fromkeys(labels))}
    return features[rows], torch.tensor([numbers[name] for name in labels]), numbers


train_x, train_y, numbers = table([r for r in order if r % 2], None)
test_x, test_y, _ = table(sorted(r for r in order if r % 2 == 0), numbers)
print(numbers)

model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
step = 0
while step < 150:
    for rows in torch.randperm(len(train_x)).split(15):
        loss = nn.functional.cross_entropy(model(train_x[rows]), train_y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 50 == 0:
            model.eval()
            with torch.no_grad():
                right = (model(test_x).argmax(1) == test_y).float().mean().item()
            print(step, round(loss.item(), 3), "right", round(right, 3))
            model.train()
