import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(600, 6)
Y = (X[:, 0] * X[:, 1] > 0).long()


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return gradient * (s + x * s * (1 - s))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(6, 48)
        self.out = nn.Linear(48, 2)

    def forward(self, x):
        return self.out(Swish.apply(self.hidden(x)))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _step in range(150):
    rows = torch.randint(0, 600, (64,))
    loss = nn.functional.cross_entropy(net(X[rows]), Y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
