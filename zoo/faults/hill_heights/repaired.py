"""Heights of a hilly island from scattered survey points, with a hand-written layer of Gaussian bumps."""
import torch
import torch.nn as nn
from torch.autograd import Variable


def island(xy):
    x, y = xy[:, 0], xy[:, 1]
    h = 1.6 * torch.exp(-((x - 0.6) ** 2 + (y + 0.3) ** 2) / 0.06)
    h = h + 1.2 * torch.exp(-((x + 0.5) ** 2 + (y - 0.5) ** 2) / 0.15)
    h = h - 0.9 * torch.exp(-((x + 0.3) ** 2 + (y + 0.6) ** 2) / 0.04)
    return h + 0.3 * torch.sin(4 * x) * torch.cos(3 * y)


class RBFLayer(nn.Module):
    """exp(-w^2 |x - c|^2) for every centre c"""

    def __init__(self, n_in, n_centres):
        super(RBFLayer, self).__init__()
        self.centres = nn.Parameter(torch.rand(n_centres, n_in) * 2 - 1)
        self.inv_width = nn.Parameter(2 * torch.ones(n_centres))

    def forward(self, x):
        distance = (x.unsqueeze(1) - self.centres.unsqueeze(0)).pow(2).sum(2)
        return torch.exp(-self.inv_width.pow(2) * distance)


class Net(nn.Module):
    def __init__(self, n_centres):
        super(Net, self).__init__()
        self.rbf = RBFLayer(2, n_centres)
        self.linear = nn.Linear(n_centres, 1)

    def forward(self, x):
        return self.linear(self.rbf(x)).squeeze(1)


def main():
    torch.manual_seed(13)
    x_train = torch.rand(1500, 2) * 2 - 1
    y_train = island(x_train) + 0.03 * torch.randn(1500)
    x_test = torch.rand(800, 2) * 2 - 1
    y_test = island(x_test)

    net = Net(n_centres=30)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    loss_func = nn.MSELoss()

    for epoch in range(30):
        permutation = torch.randperm(x_train.size(0))
        for i in range(0, x_train.size(0), 50):
            indices = permutation[i:i + 50]
            batch_x, batch_y = Variable(x_train[indices]), Variable(y_train[indices])
            prediction = net(batch_x)
            loss = loss_func(prediction, batch_y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 5 == 4:
            with torch.no_grad():
                rmse = loss_func(net(x_test), y_test).sqrt().item()
            print("epoch: %d, loss: %.5f, test rmse: %.5f" % (epoch + 1, loss.item(), rmse))


main()
