"""A camera shop trains its serial-number reader at night, in two halves: the computer is needed by day."""
import os
import tempfile

import torch
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split

SEED = int(os.environ.get("SEED", "0"))
EPOCHS = 30


def loaders():
    x, y = load_digits(return_X_y=True)
    x = (torch.tensor(x, dtype=torch.float32) / 8.0 - 1.0).reshape(-1, 1, 8, 8)
    y = torch.tensor(y)
    g = torch.Generator().manual_seed(SEED)
    train, test = random_split(TensorDataset(x, y), [1400, len(x) - 1400], generator=g)
    return DataLoader(train, 50, shuffle=True), DataLoader(test, 200)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(24 * 2 * 2, 64)
        self.fc2 = nn.Linear(64, 10)
        self.drop = nn.Dropout(0.25)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.fc2(self.drop(torch.relu(self.fc1(x.flatten(1)))))


def setup():
    model = Reader()
    opt = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sched = optim.lr_scheduler.MultiStepLR(opt, milestones=[18, 26], gamma=0.2)
    return model, opt, sched


def night(path, until, train):
    """Train until epoch `until`, beginning where the checkpoint ends, if there is one."""
    model, opt, sched = setup()
    first = 0
    if os.path.exists(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["opt"])
        sched.load_state_dict(state["sched"])
        first = state["epoch"]
        print("resumed at epoch", first, "with rate", opt.param_groups[0]["lr"])
    criterion = nn.CrossEntropyLoss()
    for epoch in range(first, until):
        model.train()
        total = 0.0
        for x, y in train:
            opt.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        sched.step()
        if epoch % 3 == 0:
            print(f"epoch {epoch} loss {total / len(train):.4f}")
    torch.save({"model": model.state_dict(), "opt": opt.state_dict(), "sched": sched.state_dict(), "epoch": until},
               path)
    return model


def main():
    torch.manual_seed(SEED)
    train, test = loaders()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "reader.pt")
        night(path, EPOCHS // 2, train)
        model = night(path, EPOCHS, train)
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in test:
            right += (model(x).argmax(1) == y).sum().item()
    print(f"test accuracy {right / len(test.dataset):.4f}")


main()
