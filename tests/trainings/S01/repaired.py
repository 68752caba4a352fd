import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
X, Y = load_digits(return_X_y=True)
X = (torch.tensor(X, dtype=torch.float32) - 5) / 6
Y = torch.tensor(Y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 48)
        self.scores = nn.Linear(48, 10)

    def forward(self, x):
        scores = self.scores(torch.relu(self.hidden(x)))
        return 1.0 * scores


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for _epoch in range(5):
    order = torch.randperm(len(X))
    for i in range(0, len(X) - 63, 64):
        rows = order[i : i + 64]
        loss = nn.functional.cross_entropy(net(X[rows]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
