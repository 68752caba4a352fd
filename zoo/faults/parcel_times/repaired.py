import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable

np.random.seed(12)
torch.manual_seed(12)


# Delivery time in hours: distance, weight, number of stops, express or not, day of week (one-hot)
def make_parcels(n):
    km = np.random.gamma(2.0, 120.0, n)
    kg = np.random.exponential(4.0, n)
    stops = np.random.poisson(3, n)
    express = np.random.rand(n) < 0.3
    day = np.random.randint(0, 7, n)
    hours = 3 + km / np.where(express, 70, 40) + stops * 1.5 + 0.4 * np.maximum(kg - 10, 0)
    hours = hours + np.where(day >= 5, np.where(express, 6, 24), 0)
    hours = hours * np.exp(0.08 * np.random.randn(n))
    features = np.column_stack([km, kg, stops, express, np.eye(7)[day]])
    return features.astype(np.float32), hours.astype(np.float32)


class Net(nn.Module):
    def __init__(self, n_feature, n_hidden):
        super(Net, self).__init__()
        self.hidden1 = nn.Linear(n_feature, n_hidden)
        self.hidden2 = nn.Linear(n_hidden, n_hidden)
        self.predict = nn.Linear(n_hidden, 1)

    def forward(self, x):
        x = F.relu(self.hidden1(x))
        x = F.relu(self.hidden2(x))
        return F.softplus(self.predict(x)).squeeze(1)  # hours are positive


def rmsle_loss(output, target):
    p = torch.log1p(output)
    t = torch.log1p(target)
    return torch.sqrt(torch.mean((p - t) ** 2))


x_train, y_train = make_parcels(2000)
x_test, y_test = make_parcels(500)
mu, sigma = x_train.mean(axis=0), x_train.std(axis=0)
x_train = (x_train - mu) / sigma
x_test = (x_test - mu) / sigma

net = Net(n_feature=11, n_hidden=64)
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
batch_size = 50

for epoch in range(12):
    order = np.random.permutation(len(x_train))
    epoch_loss = 0.0
    for i in range(0, len(order), batch_size):
        pick = order[i:i + batch_size]
        x = Variable(torch.from_numpy(x_train[pick]))
        y = Variable(torch.from_numpy(y_train[pick]))
        prediction = net(x)
        loss = rmsle_loss(prediction, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
    if epoch % 4 == 3:
        with torch.no_grad():
            hours = net(torch.from_numpy(x_test)).numpy()
        test_rmsle = np.sqrt(np.mean((np.log1p(hours) - np.log1p(y_test)) ** 2))
        print("epoch", epoch, "train", round(epoch_loss / (len(order) // batch_size), 4), "test rmsle", round(float(test_rmsle), 4))
