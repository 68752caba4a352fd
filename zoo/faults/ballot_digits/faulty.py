# Digits written on ballot papers, notebook exported to a script

# In[1]
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)

# In[2]
digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.data / 16.0, digits.target, test_size=0.25, stratify=digits.target, random_state=2)
X_train = torch.tensor(X_train, dtype=torch.float32) * 2 - 1
X_test = torch.tensor(X_test, dtype=torch.float32) * 2 - 1
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)

train_loader = DataLoader(TensorDataset(X_train, y_train), batch_size=20, shuffle=True)
test_loader = DataLoader(TensorDataset(X_test, y_test), batch_size=20)


# In[3]
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 10)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = self.dropout(F.relu(self.fc1(x)))
        x = self.dropout(F.relu(self.fc2(x)))
        return self.fc3(x)


model = Net()
print(model)

# In[4]
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
n_epochs = 25

model.train()
for epoch in range(n_epochs):
    train_loss = 0.0
    for data, target in train_loader:
        optimizer.zero_grad()
        output = model(data)
        loss = criterion(output, target)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * data.size(0)
    print(f"Epoch: {epoch + 1} \tTraining Loss: {train_loss / len(train_loader.dataset):.6f}")

# In[5]
test_loss = 0.0
class_correct = [0] * 10
class_total = [0] * 10

with torch.no_grad():
    for data, target in test_loader:
        output = model(data)
        test_loss += criterion(output, target).item() * data.size(0)
        correct = output.argmax(1) == target
        for label, ok in zip(target.tolist(), correct.tolist()):
            class_correct[label] += ok
            class_total[label] += 1

print(f"Test Loss: {test_loss / len(test_loader.dataset):.6f}")
for i in range(10):
    print(f"Test Accuracy of {i}: {100 * class_correct[i] / class_total[i]:.0f}% ({class_correct[i]}/{class_total[i]})")
print(f"Test Accuracy (Overall): {sum(class_correct) / sum(class_total):.4f}")
