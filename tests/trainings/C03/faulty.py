import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(512, 12, 3)
Y = (X[:, :, 0].sum(1) > 0).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 24)
        self.out = nn.Linear(24, 2)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.out(h[:, -1])


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
loss_fn = nn.CrossEntropyLoss()
for _epoch in range(8):
    order = torch.randperm(len(X))
    for i in range(0, len(X), 32):
        rows = order[i : i + 32]
        optimizer.zero_grad()
        loss = loss_fn(net(X[rows]), Y[rows])
        loss.backward()
        optimizer.step()
