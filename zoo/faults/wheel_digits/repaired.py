'''Odometer wheels: read 8x8 digits with a small convnet'''
import os, random
import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import Dataset, DataLoader
from sklearn.datasets import load_digits

hp = {
    'seed': int(os.environ.get('SEED', '0')),
    'batch_size': 32,
    'epochs': 6,
    'lr': 0.05,
    'momentum': 0.9,
    'weight_decay': 1e-4,
    'milestones': [4, 5],
}
random.seed(hp['seed'])
np.random.seed(hp['seed'])
torch.manual_seed(hp['seed'])


class WheelDataset(Dataset):
    def __init__(self, images, labels, augment=False):
        self.images = images.astype(np.float32)
        self.labels = labels
        self.augment = augment

    def __len__(self):
        return len(self.images)

    def __getitem__(self, idx):
        img = self.images[idx] / 16.0
        if self.augment:
            # a wheel is never quite centred
            img = np.roll(img, np.random.randint(-1, 2), axis=0)
        img = (img - 0.3) / 0.37
        return torch.from_numpy(np.ascontiguousarray(img)).unsqueeze(0), int(self.labels[idx])


class ConvBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


class WheelNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.block1 = ConvBlock(1, 16)
        self.block2 = ConvBlock(16, 32)
        self.block3 = ConvBlock(32, 32)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(32 * 2 * 2, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity='relu')

    def forward(self, x):
        x = self.pool(self.block1(x))
        x = self.block3(self.block2(x))
        x = self.pool(x)
        x = self.drop(x.view(x.size(0), -1))
        return self.fc(x)


def train(model, loader, criterion, optimizer):
    model.train()
    loss_sum, correct, count = 0.0, 0, 0
    for images, labels in loader:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * images.size(0)
        correct += (outputs.argmax(1) == labels).sum().item()
        count += images.size(0)
    return loss_sum / count, correct / count


def test(model, loader):
    model.eval()
    correct, count = 0, 0
    with torch.no_grad():
        for images, labels in loader:
            outputs = model(images)
            _, predicted = torch.max(outputs, 1)
            correct += (predicted == labels).sum().item()
            count += labels.size(0)
    return correct / count


digits = load_digits()
order = np.random.permutation(len(digits.images))
tr, te = order[:900], order[900:]
train_loader = DataLoader(WheelDataset(digits.images[tr], digits.target[tr], augment=True), batch_size=hp['batch_size'], shuffle=True)
test_loader = DataLoader(WheelDataset(digits.images[te], digits.target[te]), batch_size=128)

model = WheelNet()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=hp['lr'], momentum=hp['momentum'], weight_decay=hp['weight_decay'])
scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=hp['milestones'], gamma=0.1)

best = 0
for epoch in range(hp['epochs']):
    loss, acc = train(model, train_loader, criterion, optimizer)
    scheduler.step()
    test_acc = test(model, test_loader)
    best = max(best, test_acc)
    print('Epoch %d: loss=%.4f train=%.3f test=%.3f' % (epoch + 1, loss, acc, test_acc))
print('best %.4f' % best)
print('final test accuracy %.4f' % test(model, test_loader))
