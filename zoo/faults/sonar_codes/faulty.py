"""Squeeze sonar echoes of 64 samples into 4 numbers and unfold them again."""
import math

import torch
import torch.nn as nn
import torch.optim as optim
from torch.autograd import Variable

torch.manual_seed(3)

n_samples = 64
code_size = 4
epochs = 16
batch_size = 50


def echoes(n):
    t = torch.linspace(0, 1, n_samples).unsqueeze(0)
    delay = 0.2 + 0.5 * torch.rand(n, 1)
    width = 0.05 + 0.1 * torch.rand(n, 1)
    pitch = 6 + 4 * torch.rand(n, 1)
    depth = torch.rand(n, 1)
    ping = torch.exp(-((t - delay) / width) ** 2)
    return ping * (1 + depth * torch.sin(2 * math.pi * pitch * (t - delay))) + 0.02 * torch.randn(n, n_samples)


class Encoder(nn.Module):
    def __init__(self):
        super(Encoder, self).__init__()
        self.net = nn.Sequential(
            nn.Linear(n_samples, 128), nn.ReLU(),
            nn.Linear(128, 64), nn.ReLU(),
            nn.Linear(64, code_size), nn.Tanh(),
        )

    def forward(self, x):
        return self.net(x)


class Decoder(nn.Module):
    def __init__(self):
        super(Decoder, self).__init__()
        self.net = nn.Sequential(
            nn.Linear(code_size, 64), nn.ReLU(),
            nn.Linear(64, 128), nn.ReLU(),
            nn.Linear(128, n_samples),
        )

    def forward(self, code):
        return self.net(code)


train_data = echoes(2000)
test_data = echoes(400)
mean, std = train_data.mean(), train_data.std()
train_data, test_data = (train_data - mean) / std, (test_data - mean) / std

encoder, decoder = Encoder(), Decoder()
criterion = nn.MSELoss()
optimizer = optim.Adam(list(encoder.parameters()) + list(decoder.parameters()), lr=0.002)

for epoch in range(epochs):
    train_loss = 0
    order = torch.randperm(len(train_data))
    for i in range(len(train_data) // batch_size):
        batch = Variable(train_data[order[i * batch_size:(i + 1) * batch_size]])

        code = encoder(batch)
        noise = 0.02 * torch.randn(code.size())
        code = Variable(code.data + noise)  # a little jitter, so that near codes give near echoes
        output = decoder(code)
        loss = criterion(output, batch)

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_loss += loss.item()

    if epoch % 4 == 3:
        with torch.no_grad():
            test_loss = criterion(decoder(encoder(test_data)), test_data).item()
        print("====> Epoch: {} train {:.4f} test mse {:.4f}".format(epoch, train_loss / (len(train_data) // batch_size), test_loss))
