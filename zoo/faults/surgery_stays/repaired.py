import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

# Will the patient stay for more than three nights? Few records, and the notes are not reliable.
torch.manual_seed(14)
X, y = make_classification(n_samples=1300, n_features=25, n_informative=8, n_redundant=4, flip_y=0.15, class_sep=1.3, random_state=14)
shuffled = torch.randperm(len(X)).numpy()
X, y = X[shuffled], y[shuffled]
scaler = StandardScaler().fit(X[:400])
X = torch.tensor(scaler.transform(X), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
parts = {"train": slice(0, 400), "val": slice(400, 700), "test": slice(700, 1300)}

net = nn.Sequential(nn.Linear(25, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)


def assess(part):
    net.eval()
    with torch.no_grad():
        logits = net(X[parts[part]]).squeeze(1)
        labels = y[parts[part]]
        return criterion(logits, labels).item(), ((logits > 0) == (labels > 0.5)).float().mean().item()


best_loss, best_epoch, best_weights = float("inf"), 0, None
patience = 15
for epoch in range(60):
    net.train()
    for batch in torch.randperm(400).split(20):
        optimizer.zero_grad()
        loss = criterion(net(X[batch]).squeeze(1), y[batch])
        loss.backward()
        optimizer.step()
    val_loss, val_acc = assess("val")
    print(f"epoch {epoch:2d}: val loss {val_loss:.4f} accuracy {val_acc:.3f}")
    if val_loss < best_loss:
        best_loss, best_epoch = val_loss, epoch
        best_weights = {name: value.clone() for name, value in net.state_dict().items()}
    elif epoch - best_epoch >= patience:
        break

net.load_state_dict(best_weights)
test_loss, test_acc = assess("test")
print(f"kept epoch {best_epoch}: test loss {test_loss:.4f} accuracy {test_acc:.3f}")
