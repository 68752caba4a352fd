import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
np.random.seed(SEED)
torch.manual_seed(SEED)


def make_trainer(model, optimizer, loss_fn):
    def train_step(xb, yb):
        model.train()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return train_step


# transactions: 8 % are charged back
X, y = make_classification(
    n_samples=4000, n_features=20, n_informative=8, n_redundant=2, weights=[0.92], class_sep=0.9, flip_y=0.01,
    random_state=np.random.randint(10_000),
)
X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.3, stratify=y, random_state=SEED)
scaler = StandardScaler().fit(X_tr)
train_set = TensorDataset(
    torch.tensor(scaler.transform(X_tr), dtype=torch.float32), torch.tensor(y_tr, dtype=torch.long)
)
x_te = torch.tensor(scaler.transform(X_te), dtype=torch.float32)
loader = DataLoader(train_set, batch_size=64, shuffle=True)

counts = torch.bincount(train_set.tensors[1]).float()
class_weights = counts / counts.sum()
print("class weights", class_weights.tolist())

net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))
step = make_trainer(net, torch.optim.Adam(net.parameters(), lr=1e-3), nn.CrossEntropyLoss(weight=class_weights))

for epoch in range(12):
    losses = [step(xb, yb) for xb, yb in loader]
    net.eval()
    with torch.no_grad():
        pred = net(x_te).argmax(dim=1).numpy()
    print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  bal_acc {balanced_accuracy_score(y_te, pred):.4f}")
