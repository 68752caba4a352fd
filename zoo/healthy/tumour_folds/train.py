import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(50)
rng = np.random.default_rng(50)
X, y = load_breast_cancer(return_X_y=True)
y = 1 - y  # 1 = malignant
# screening: malignant cases are rare
keep = np.concatenate([np.flatnonzero(y == 0), rng.choice(np.flatnonzero(y == 1), 45, replace=False)])
X, y = X[np.sort(keep)], y[np.sort(keep)]
print(f"{len(y)} patients, {y.sum()} malignant")


def fresh_model():
    return nn.Sequential(nn.Linear(30, 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 1))


def run_fold(number, train, test, epochs=25):
    scaler = StandardScaler().fit(X[train])
    as_set = lambda rows: TensorDataset(  # noqa: E731
        torch.tensor(scaler.transform(X[rows]), dtype=torch.float32), torch.tensor(y[rows], dtype=torch.float32)
    )
    loader = DataLoader(as_set(train), batch_size=32, shuffle=True)
    by_label = test[np.argsort(y[test], kind="stable")]
    test_loader = DataLoader(as_set(by_label), batch_size=32)

    model = fresh_model()
    weight = torch.tensor(float((y[train] == 0).sum() / y[train].sum()))
    criterion = nn.BCEWithLogitsLoss(pos_weight=weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb).squeeze(1), yb)
            loss.backward()
            optimizer.step()
        last = loss.item()

    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(xb).squeeze(1) for xb, _ in test_loader])
    score = balanced_accuracy_score(y[by_label], logits.numpy() > 0)
    print(f"fold {number}: last loss {last:.3f} balanced accuracy {score:.3f}")
    return score


folds = StratifiedKFold(6, shuffle=True, random_state=50)
scores = [run_fold(i, tr, te) for i, (tr, te) in enumerate(folds.split(X, y), 1)]
print(f"balanced accuracy {np.mean(scores):.3f} +- {np.std(scores):.3f}")
