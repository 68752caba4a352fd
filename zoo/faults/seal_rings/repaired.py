import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(6)
np.random.seed(6)

classes = ("ring", "disc", "cross", "bars", "diamond", "corner")
SIZE = 12


def press(kind):
    """One seal pressed into clay: a shape off the centre, uneven depth, grain."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2
    yy = yy - np.random.uniform(-1.5, 1.5)
    xx = xx - np.random.uniform(-1.5, 1.5)
    r = np.random.uniform(2.5, 4.0)
    d = np.hypot(xx, yy)
    if kind == "ring":
        img = np.abs(d - r) < 0.9
    elif kind == "disc":
        img = d < r
    elif kind == "cross":
        img = ((np.abs(xx) < 0.9) | (np.abs(yy) < 0.9)) & (d < r + 1)
    elif kind == "bars":
        img = (np.abs(np.abs(xx) - 2) < 0.9) & (np.abs(yy) < r + 0.5)
    elif kind == "diamond":
        img = np.abs(np.abs(xx) + np.abs(yy) - r - 0.5) < 0.9
    else:
        img = ((np.abs(xx + r / 2) < 0.9) | (np.abs(yy + r / 2) < 0.9)) & (np.maximum(np.abs(xx), np.abs(yy)) < r)
    depth = np.random.uniform(0.6, 1.2)
    return depth * img + 0.35 * np.random.randn(SIZE, SIZE)


def dataset(n_per_class):
    x = np.stack([press(c) for c in classes for _ in range(n_per_class)])
    y = np.repeat(np.arange(len(classes)), n_per_class)
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3)
        self.bn2 = nn.BatchNorm2d(24)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(24 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, len(classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.pool(F.relu(self.bn2(self.conv2(x))))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


x_train, y_train = dataset(220)
x_test, y_test = dataset(80)
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

trainset = torch.utils.data.TensorDataset(x_train, y_train)
trainloader = torch.utils.data.DataLoader(trainset, batch_size=32, shuffle=True)

net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

for epoch in range(8):
    running_loss = 0.0
    for i, data in enumerate(trainloader, 0):
        inputs, labels = data
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()

        running_loss += loss.item()
        if i % 20 == 19:
            print("[%d, %5d] loss: %.3f" % (epoch + 1, i + 1, running_loss / 20))
            running_loss = 0.0

print("Finished Training")

# which seals does it know well?
net.eval()
correct_pred = {classname: 0 for classname in classes}
with torch.no_grad():
    for c, classname in enumerate(classes):
        images = x_test[y_test == c]
        predictions = net(images).argmax(1)
        correct_pred[classname] = (predictions == c).sum().item() / len(images)

for classname, rate in correct_pred.items():
    print("Accuracy of %8s: %.1f %%" % (classname, 100 * rate))
print("mean accuracy %.4f" % np.mean(list(correct_pred.values())))
