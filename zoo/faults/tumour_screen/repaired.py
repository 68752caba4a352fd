import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(18)
SPLIT = int(torch.randint(0, 1000, (1,)))

X, y = load_breast_cancer(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.3, stratify=y, random_state=SPLIT)
sc = StandardScaler()
X_train = torch.tensor(sc.fit_transform(X_train), dtype=torch.float32)
X_val = torch.tensor(sc.transform(X_val), dtype=torch.float32)
y_train = torch.tensor(y_train, dtype=torch.float32)
y_val = torch.tensor(y_val, dtype=torch.float32)

train_dl = DataLoader(TensorDataset(X_train, y_train), batch_size=16, shuffle=True)
val_dl = DataLoader(TensorDataset(X_val, y_val), batch_size=64)

model = nn.Sequential(nn.Linear(30, 32), nn.Tanh(), nn.Dropout(0.1), nn.Linear(32, 1))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)


def accuracy(logits, target):
    return ((logits > 0).float() == target).float().mean()


for epoch in range(15):
    model.train()
    for features, target in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(features), target.unsqueeze(1))
        loss.backward()
        optimizer.step()

    model.eval()
    val_loss, val_acc, seen = 0.0, 0.0, 0
    with torch.no_grad():
        for features, target in val_dl:
            logits = model(features)
            val_loss += criterion(logits, target.unsqueeze(1)).item() * len(target)
            val_acc += accuracy(logits.squeeze(1), target).item() * len(target)
            seen += len(target)
    print(f"Epoch {epoch + 1:02d} | val loss {val_loss / seen:.4f} | val accuracy {val_acc / seen:.4f}")
