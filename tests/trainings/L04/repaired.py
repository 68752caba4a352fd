"""Tumour classification: a small classifier on the breast-cancer table."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)


class TumourNet(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.hidden = nn.Linear(features, 32)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        x = self.drop(torch.relu(self.hidden(x)))
        x = self.out(x)
        return x.squeeze(1)


X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
scaler = StandardScaler().fit(X_train)
train_set = TensorDataset(
    torch.tensor(scaler.transform(X_train), dtype=torch.float32), torch.tensor(y_train, dtype=torch.float32)
)
test_x = torch.tensor(scaler.transform(X_test), dtype=torch.float32)
test_y = torch.tensor(y_test)

loader = DataLoader(train_set, batch_size=32, shuffle=True)
model = TumourNet(X.shape[1])
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for epoch in range(8):
    model.train()
    total = 0.0
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        accuracy = ((model(test_x) > 0).long() == test_y).float().mean().item()
    print(f"epoch {epoch} loss {total / len(loader):.4f} accuracy {accuracy:.3f}")
