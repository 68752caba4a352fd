import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Tower(nn.Module):
    def __init__(self, n_in, width, depth, n_out):
        super().__init__()
        self.act = nn.Sigmoid()
        dims = [n_in] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(dims[:-1], dims[1:]))
        self.top = nn.Linear(width, n_out)

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.top(x)


torch.manual_seed(10)
iris = load_iris()
x = torch.tensor(iris.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
train, test = random_split(TensorDataset(x, torch.tensor(iris.target)), [110, 40])
loader = DataLoader(train, batch_size=22, shuffle=True)
net = Tower(4, 24, 10, 3)
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(100):
    for xb, yb in loader:
        opt.zero_grad()
        loss = loss_fn(net(xb), yb)
        loss.backward()
        opt.step()
    if epoch % 10 == 9:
        xt, yt = zip(*[test[i] for i in range(len(test))])
        with torch.no_grad():
            acc = (net(torch.stack(xt)).argmax(1) == torch.stack(yt)).float().mean().item()
        print(f"epoch {epoch + 1} loss {loss.item():.4f} test acc {acc:.3f}")
