# Genuine or forged? Twelve measurements of each coin (weight, rim, edge, ...), one answer.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)

# ---- cell 1: data
X, y = make_classification(n_samples=2400, n_features=12, n_informative=6, n_redundant=3, n_clusters_per_class=3,
                           class_sep=1.3, weights=[0.6, 0.4], flip_y=0.02, random_state=11)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
sc = StandardScaler()
X_train = sc.fit_transform(X_train)
X_test = sc.transform(X_test)

X_train = torch.FloatTensor(X_train)
X_test = torch.FloatTensor(X_test)
y_train = torch.FloatTensor(y_train).unsqueeze(1)
y_test = torch.FloatTensor(y_test).unsqueeze(1)
print(X_train.shape, y_train.shape)

train_loader = DataLoader(TensorDataset(X_train, y_train), batch_size=48, shuffle=True)


# ---- cell 2: network
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(12, 96)
        self.fc2 = nn.Linear(96, 48)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(48, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.drop(x)
        x = F.relu(self.fc2(x))
        return torch.sigmoid(self.out(x))


net = Net()
criterion = nn.BCELoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.002)

# ---- cell 3: training
history = []
for epoch in range(15):
    net.train()
    running_loss = 0.0
    for inputs, labels in train_loader:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * inputs.size(0)
    history.append(running_loss / len(X_train))

    if (epoch + 1) % 5 == 0:
        net.eval()
        with torch.no_grad():
            predicted = (net(X_test) > 0.5).float()
            accuracy = (predicted == y_test).float().mean().item()
        print("Epoch %d, loss %.4f, test accuracy %.3f" % (epoch + 1, history[-1], accuracy))

print("Finished Training")
