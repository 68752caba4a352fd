'''House numbers 00 - 99, glued together from two scanned digits. One net, two answers.'''
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(30)

data = load_digits()
imgs_tr, imgs_te, lab_tr, lab_te = train_test_split(data.images / 16.0, data.target, test_size=0.3, stratify=data.target, random_state=4)


def make_numbers(imgs, labs, n):
    """n plates, 1 x 8 x 16, with the two digits that are on them"""
    imgs = torch.tensor(imgs).float()
    labs = torch.tensor(labs)
    left = torch.randint(0, len(imgs), (n,))
    right = torch.randint(0, len(imgs), (n,))
    plates = torch.cat([imgs[left], imgs[right]], dim=2).unsqueeze(1)
    return plates, labs[left], labs[right]


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 12, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, kernel_size=3, padding=1)
        self.fc = nn.Linear(24 * 2 * 4, 64)
        self.tens = nn.Linear(64, 10)
        self.units = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc(x))
        return self.tens(x), self.units(x)


def train(model, optimizer, epoch, plates, tens, units):
    model.train()
    total = 0
    for idx in torch.randperm(len(plates)).split(50):
        optimizer.zero_grad()
        out_tens, out_units = model(plates[idx])
        loss = F.cross_entropy(out_tens, tens[idx]) + F.cross_entropy(out_units, units[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    print('Train Epoch: {}\tLoss: {:.4f}'.format(epoch, total / len(plates)))


def test(model, plates, tens, units):
    model.eval()
    with torch.no_grad():
        out_tens, out_units = model(plates)
    right_tens = out_tens.argmax(1) == tens
    right_units = out_units.argmax(1) == units
    print('Test: tens {:.3f}, units {:.3f}, whole number {:.3f}'.format(
        right_tens.float().mean().item(), right_units.float().mean().item(), (right_tens & right_units).float().mean().item()))


train_set = make_numbers(imgs_tr, lab_tr, 1500)
test_set = make_numbers(imgs_te, lab_te, 400)
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
for epoch in range(1, 15):
    train(model, optimizer, epoch, *train_set)
test(model, *test_set)
