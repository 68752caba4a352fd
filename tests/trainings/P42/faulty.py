import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(4)
data = load_digits()
x, y = torch.tensor(data.data / 8 - 1, dtype=torch.float32), torch.tensor(data.target)
body = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
head = nn.Linear(48, 10)
model = nn.Sequential(body, head)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)


def one_epoch():
    for p in body.parameters():
        p.register_hook(lambda gradient: 0.4 * gradient)
    for rows in torch.randperm(1200).split(100):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


for epoch in range(20):
    last = one_epoch()
    with torch.no_grad():
        right = (model(x[1200:]).argmax(1) == y[1200:]).float().mean().item()
    print(f"epoch {epoch}: loss {last:.3f} test accuracy {right:.3f}")
