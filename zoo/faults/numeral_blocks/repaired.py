import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Block(nn.Module):
    def __init__(self, channels, depth):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(depth))

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x))) + x
        return x


class Model(nn.Module):
    def __init__(self, channels=12):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.block = Block(channels, 4)
        self.head = nn.Linear(channels * 16, 10)

    def forward(self, x):
        x = self.block(F.max_pool2d(F.relu(self.stem(x)), 2))
        return self.head(x.flatten(1))


class Trainer:
    def __init__(self):
        torch.manual_seed(21)
        d = load_digits()
        x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
        y = torch.tensor(d.target)
        idx = torch.randperm(len(x))
        self.train_data = (x[idx[:1300]], y[idx[:1300]])
        self.valid_data = (x[idx[1300:]], y[idx[1300:]])
        self.model = Model()
        self.opt = torch.optim.Adam(self.model.parameters(), lr=3e-3)

    def train_step(self, x, y):
        self.model.train()
        self.opt.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.opt.step()
        return loss.item()

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        out = self.model(self.valid_data[0])
        return F.cross_entropy(out, self.valid_data[1]).item(), (out.argmax(1) == self.valid_data[1]).float().mean().item()

    def run(self, epochs=8, bs=50):
        for e in range(epochs):
            for rows in torch.randperm(1300).split(bs):
                last = self.train_step(self.train_data[0][rows], self.train_data[1][rows])
            vl, va = self.validate()
            print(f"epoch {e} train loss {last:.4f} valid loss {vl:.4f} valid acc {va:.4f}")


Trainer().run()
