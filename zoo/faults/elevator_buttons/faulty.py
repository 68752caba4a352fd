# Which floor button is it? small CNN
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.autograd import Variable
from torch.utils.data import TensorDataset, DataLoader
from sklearn.datasets import load_digits
import numpy as np

torch.manual_seed(1)
np.random.seed(1)
use_cuda = torch.cuda.is_available()

data = load_digits()
X = data.images.astype('float32')
Y = data.target.astype('int64')

# photos: put every 8x8 number somewhere on a 12x12 metal button
def place(img):
    button = np.random.normal(3.0, 1.0, (12, 12)).astype('float32')
    r, c = np.random.randint(1, 4, 2)
    button[r:r + 8, c:c + 8] += img
    return button

X = np.stack([place(img) for img in X])
order = np.random.permutation(len(X))
X, Y = X[order], Y[order]
n_train = 1400
mu, sigma = X[:n_train].mean(), X[:n_train].std()
X = torch.from_numpy((X - mu) / sigma).unsqueeze(1)
Y = torch.from_numpy(Y)

trainloader = DataLoader(TensorDataset(X[:n_train], Y[:n_train]), batch_size=20, shuffle=True)
testloader = DataLoader(TensorDataset(X[n_train:], Y[n_train:]), batch_size=100)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 10, 3, padding=1)
        self.conv2 = nn.Conv2d(10, 20, 3, padding=1)
        self.fc1 = nn.Linear(20 * 3 * 3, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, 20 * 3 * 3)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return x


net = Net()
if use_cuda:
    net.cuda()

criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1)

for epoch in range(20):
    net.train()
    running_loss = 0.0
    for i, (inputs, labels) in enumerate(trainloader, 0):
        inputs, labels = Variable(inputs), Variable(labels)
        if use_cuda:
            inputs, labels = inputs.cuda(), labels.cuda()
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    if epoch % 2 == 1:
        print('[%d] loss: %.3f' % (epoch + 1, running_loss / len(trainloader)))

print('Finished Training')

net.eval()
correct = 0
total = 0
with torch.no_grad():
    for inputs, labels in testloader:
        if use_cuda:
            inputs, labels = inputs.cuda(), labels.cuda()
        outputs = net(inputs)
        _, predicted = torch.max(outputs, 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()

print('Accuracy of the network on the test buttons: %.2f %%' % (100.0 * correct / total))
