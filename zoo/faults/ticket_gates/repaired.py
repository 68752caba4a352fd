# gates of the underground: find the rare forged tickets
import os, random
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler
from sklearn.datasets import make_classification
from sklearn.metrics import f1_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

SEED = int(os.environ.get('SEED', '0'))
random.seed(SEED); np.random.seed(SEED); torch.manual_seed(SEED)

X, y = make_classification(n_samples=6000, n_features=20, n_informative=8, n_redundant=4, n_clusters_per_class=2,
                           weights=[0.95], flip_y=0.01, class_sep=1.0, random_state=SEED)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=SEED)
sc = StandardScaler().fit(X_train)
X_train, X_test = sc.transform(X_train).astype(np.float32), sc.transform(X_test).astype(np.float32)

counts = np.bincount(y_train)
print('class counts', counts)
weights = torch.tensor(1.0 / counts[y_train], dtype=torch.double)
sampler = WeightedRandomSampler(weights, num_samples=len(weights), replacement=True)

train_loader = DataLoader(TensorDataset(torch.from_numpy(X_train), torch.from_numpy(y_train)), batch_size=64, sampler=sampler)
test_loader = DataLoader(TensorDataset(torch.from_numpy(X_test), torch.from_numpy(y_test)), batch_size=256)


class GateNet(nn.Module):
    def __init__(self, d):
        super(GateNet, self).__init__()
        self.layers = nn.Sequential(
            nn.Linear(d, 64),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(32, 2))

    def forward(self, x):
        return self.layers(x)


model = GateNet(X_train.shape[1])
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)


def predict(loader):
    model.eval()
    guesses, truths = [], []
    with torch.no_grad():
        for xb, yb in loader:
            guesses.extend(model(xb).argmax(1).tolist())
            truths.extend(yb.tolist())
    return np.array(guesses), np.array(truths)


for epoch in range(25):
    model.train()
    epoch_loss = 0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
    if epoch % 4 == 0:
        g, t = predict(test_loader)
        print(f'epoch {epoch}: loss {epoch_loss / len(train_loader):.4f} bal-acc {balanced_accuracy_score(t, g):.3f}')

g, t = predict(test_loader)
print('plain accuracy', (g == t).mean())
print('forged found', int(((g == 1) & (t == 1)).sum()), 'of', int(t.sum()))
print('f1', f1_score(t, g))
print('balanced accuracy', balanced_accuracy_score(t, g))
