# which of 20 weeds is this sprout? (10 measurements per photo)
import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(3)
np.random.seed(3)

X, y = make_classification(n_samples=4000, n_features=10, n_informative=10, n_redundant=0,
                           n_classes=20, n_clusters_per_class=1, class_sep=1.9, random_state=3)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=3, stratify=y)
scaler = StandardScaler()
X_train = torch.tensor(scaler.fit_transform(X_train), dtype=torch.float32)
X_test = torch.tensor(scaler.transform(X_test), dtype=torch.float32)
y_train = torch.tensor(y_train)
y_test = torch.tensor(y_test)

train_loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(X_train, y_train), batch_size=50, shuffle=True)


class SproutNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(10, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 20)
        self.act = nn.ReLU()
        self.out = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.act(self.fc1(x))
        x = self.act(self.fc2(x))
        return self.out(self.fc3(x))


net = SproutNet()
criterion = nn.NLLLoss()
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

for epoch in range(15):
    running_loss = 0.0
    for i, data in enumerate(train_loader):
        inputs, labels = data
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print('Epoch %d loss: %.4f' % (epoch + 1, running_loss / len(train_loader)))

net.eval()
with torch.no_grad():
    _, predicted = torch.max(net(X_test), 1)
    right = (predicted == y_test).sum().item()
print('Finished Training')
print('Accuracy on the test photos: %.2f %%' % (100 * right / len(y_test)))
