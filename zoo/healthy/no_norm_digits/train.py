import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class FixupBlock(nn.Module):
    """Residual block without normalisation: the branch ends in a convolution of zeros."""

    def __init__(self, channels, depth):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shifts = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(4)])
        self.scale = nn.Parameter(torch.ones(1))
        std = math.sqrt(2 / (channels * 9)) * depth ** (-0.5)
        nn.init.normal_(self.conv1.weight, std=std)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x):
        h = self.conv1(x + self.shifts[0])
        h = F.relu(h + self.shifts[1])
        h = self.conv2(h + self.shifts[2])
        return F.relu(x + h * self.scale + self.shifts[3])


class FixupNet(nn.Module):
    def __init__(self, channels=16, blocks=8):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.stem.weight, nonlinearity="relu")
        self.blocks = nn.Sequential(*[FixupBlock(channels, blocks) for _ in range(blocks)])
        self.fc = nn.Linear(channels * 4, 10)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        x = self.blocks(F.max_pool2d(F.relu(self.stem(x)), 2))
        return self.fc(F.adaptive_avg_pool2d(x, 2).flatten(1))


class Trainer:
    def __init__(self, model, epochs, batch, lr):
        self.model, self.epochs, self.batch = model, epochs, batch
        scalars = [p for p in model.parameters() if p.numel() == 1]
        tensors = [p for p in model.parameters() if p.numel() > 1]
        # scalars shift and scale whole maps: a tenth of the rate and no decay, as in the paper
        groups = [{"params": tensors, "weight_decay": 5e-4}, {"params": scalars, "lr": lr / 10, "weight_decay": 0.0}]
        self.opt = torch.optim.SGD(groups, lr=lr, momentum=0.9)

    def fit(self, x, y, x_val, y_val):
        sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, self.epochs)
        for epoch in range(self.epochs):
            self.model.train()
            for rows in torch.randperm(len(x)).split(self.batch):
                loss = F.cross_entropy(self.model(x[rows]), y[rows])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
            sched.step()
            self.model.eval()
            with torch.no_grad():
                acc = (self.model(x_val).argmax(1) == y_val).float().mean()
            print(f"epoch {epoch + 1:2d}  loss {loss:.4f}  val {acc:.4f}")


torch.manual_seed(3)
digits = load_digits()
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.images, dtype=torch.float32)[order].unsqueeze(1)
images = (images - 4.9) / 6.0
labels = torch.tensor(digits.target)[order]
Trainer(FixupNet(), epochs=12, batch=64, lr=0.08).fit(images[:1400], labels[:1400], images[1400:], labels[1400:])
