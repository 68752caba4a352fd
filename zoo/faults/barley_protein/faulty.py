"""
NIR table of barley samples: the moisture network existed already, now the lab
also wants protein, so a second head reads the hidden layer through a hook.
"""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(8)
np.random.seed(8)
device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def measure(n):
    bands = np.random.randn(n, 20)
    moisture = np.tanh(bands[:, 0] + bands[:, 1]) + 0.5 * bands[:, 2] * bands[:, 3] + 0.4 * bands[:, 4]
    protein = np.sin(bands[:, 10] + 0.5 * bands[:, 11]) + 0.8 * np.abs(bands[:, 12]) + 0.6 * bands[:, 13]
    moisture = 12.5 + 1.1 * moisture + 0.1 * np.random.randn(n)
    protein = 10.8 + 0.9 * protein + 0.1 * np.random.randn(n)
    return bands, np.stack([moisture, protein], axis=1)


class BarleyDataset(Dataset):
    def __init__(self, x, y):
        self.x = torch.tensor(x, dtype=torch.float32)
        self.y = torch.tensor(y, dtype=torch.float32)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class MoistureNet(nn.Module):
    def __init__(self):
        super(MoistureNet, self).__init__()
        self.fc1 = nn.Linear(20, 64)
        self.fc2 = nn.Linear(64, 12)
        self.out = nn.Linear(12, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.out(x)


X, Y = measure(2400)
x_mean, x_std = X[:1800].mean(0), X[:1800].std(0)
y_mean, y_std = Y[:1800].mean(0), Y[:1800].std(0)
X = (X - x_mean) / x_std
Y = (Y - y_mean) / y_std
train_loader = DataLoader(BarleyDataset(X[:1800], Y[:1800]), batch_size=64, shuffle=True)
test_loader = DataLoader(BarleyDataset(X[1800:], Y[1800:]), batch_size=200)

net = MoistureNet().to(device)
protein_head = nn.Sequential(nn.ReLU(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1)).to(device)

activation = {}


def get_activation(name):
    def hook(model, input, output):
        activation[name] = output.detach()
    return hook


net.fc2.register_forward_hook(get_activation('fc2'))

criterion = nn.MSELoss()
optimizer = torch.optim.Adam(list(net.parameters()) + list(protein_head.parameters()), lr=3e-3)

for epoch in range(45):
    net.train()
    protein_head.train()
    sums = np.zeros(2)
    for x, y in train_loader:
        x, y = x.to(device), y.to(device)
        moisture = net(x)
        protein = protein_head(activation['fc2'])
        loss_m = criterion(moisture, y[:, 0:1])
        loss_p = criterion(protein, y[:, 1:2])
        loss = loss_m + loss_p
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums += [loss_m.item(), loss_p.item()]
    if (epoch + 1) % 5 == 0:
        print('Epoch %d moisture loss %.4f protein loss %.4f' % (epoch + 1, *(sums / len(train_loader))))

net.eval()
protein_head.eval()
pred, true = [], []
with torch.no_grad():
    for x, y in test_loader:
        moisture = net(x.to(device))
        both = torch.cat([moisture, protein_head(activation['fc2'])], dim=1)
        pred.append(both.cpu().numpy())
        true.append(y.numpy())
pred, true = np.concatenate(pred), np.concatenate(true)
r2 = 1 - ((pred - true) ** 2).sum(0) / ((true - true.mean(0)) ** 2).sum(0)
print('moisture R2: %.3f' % r2[0])
print('protein R2: %.3f' % r2[1])
