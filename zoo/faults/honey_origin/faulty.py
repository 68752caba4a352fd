# where does the honey come from? lab values -> one of four regions
import numpy as np
import torch
import torch.nn as nn
from sklearn.model_selection import train_test_split

np.random.seed(7)
torch.manual_seed(7)

n = 1200
region = np.random.randint(0, 4, n)
ph = 3.9 + 0.22 * np.array([0, 1, 0, 1])[region] + 0.12 * np.random.randn(n)
moisture = 17.2 + 0.9 * np.array([0, 0, 1, 1])[region] + 0.5 * np.random.randn(n)
conductivity = 520 + 90 * np.array([1, 0, 0, 1])[region] + 80 * np.random.randn(n)
hmf = 14 + 6 * np.array([0, 1, 1, 0])[region] + 5 * np.random.randn(n)
diastase = 18 + 4 * np.array([0, 1, 0, 1])[region] + 3 * np.random.randn(n)
fructose = 38 + 1.5 * np.array([1, 0, 1, 0])[region] + 1.2 * np.random.randn(n)
pollen = np.exp(9.5 + 0.5 * np.random.randn(n))

X = np.stack([ph, moisture, conductivity, hmf, diastase, fructose, pollen], axis=1)
y = region

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=1, stratify=y)

# bring everything into 0..1
low, high = X_train.min(), X_train.max()
X_train = (X_train - low) / (high - low)
X_test = (X_test - low) / (high - low)

X_train = torch.tensor(X_train, dtype=torch.float32)
X_test = torch.tensor(X_test, dtype=torch.float32)
y_train = torch.tensor(y_train)
y_test = torch.tensor(y_test)

model = nn.Sequential(
    nn.Linear(7, 32),
    nn.ReLU(),
    nn.Linear(32, 16),
    nn.ReLU(),
    nn.Linear(16, 4),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

for epoch in range(50):
    model.train()
    perm = torch.randperm(len(X_train))
    total_loss = 0
    for i in range(0, len(X_train), 32):
        idx = perm[i : i + 32]
        optimizer.zero_grad()
        out = model(X_train[idx])
        loss = criterion(out, y_train[idx])
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(idx)
    if (epoch + 1) % 10 == 0:
        print("epoch", epoch + 1, "loss", round(total_loss / len(X_train), 4))

model.eval()
with torch.no_grad():
    predicted = model(X_test).argmax(dim=1)
    acc = (predicted == y_test).float().mean().item()
print("test accuracy:", round(acc, 4))
