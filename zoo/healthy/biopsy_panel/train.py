# Five-fold cross-validated MLP on the Wisconsin biopsy measurements.
import copy

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
MAX_EPOCHS = 80
PATIENCE = 10


def build_model(n_features):
    return nn.Sequential(
        nn.Linear(n_features, 48), nn.GELU(), nn.Dropout(0.2),
        nn.Linear(48, 24), nn.GELU(),
        nn.Linear(24, 1),
    )


def as_tensors(x, y):
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32).unsqueeze(1)


@torch.no_grad()
def predict(model, x):
    model.eval()
    return model(x)


def train_one(model, loader, criterion, optimizer):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    return total / len(loader.dataset)


def run_fold(fold, x_dev, y_dev, x_test):
    # the stopping set is cut out of the development part, the test fold is never looked at
    x_tr, x_va, y_tr, y_va = train_test_split(x_dev, y_dev, test_size=0.15, stratify=y_dev, random_state=SEED + fold)
    scaler = StandardScaler().fit(x_tr)
    x_tr_t, y_tr_t = as_tensors(scaler.transform(x_tr), y_tr)
    x_va_t, y_va_t = as_tensors(scaler.transform(x_va), y_va)
    x_te_t = torch.tensor(scaler.transform(x_test), dtype=torch.float32)

    torch.manual_seed(SEED + fold)
    model = build_model(x_dev.shape[1])
    loader = DataLoader(TensorDataset(x_tr_t, y_tr_t), batch_size=32, shuffle=True)
    positive = float(y_tr.mean())
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor((1 - positive) / positive))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=4)

    best, best_state, waited = float("inf"), None, 0
    for epoch in range(MAX_EPOCHS):
        train_loss = train_one(model, loader, criterion, optimizer)
        val_loss = criterion(predict(model, x_va_t), y_va_t).item()
        scheduler.step(val_loss)
        if val_loss < best - 1e-4:
            best, best_state, waited = val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
            if waited >= PATIENCE:
                break
    model.load_state_dict(best_state)
    print(f"fold {fold}: stopped after {epoch + 1} epochs, train {train_loss:.4f}, best val {best:.4f}")
    return torch.sigmoid(predict(model, x_te_t)).squeeze(1).numpy()


def main():
    data = load_breast_cancer()
    x, y = data.data, 1 - data.target  # 1 = malignant
    out_of_fold = np.zeros(len(y))
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=SEED)
    for fold, (dev, test) in enumerate(folds.split(x, y)):
        out_of_fold[test] = run_fold(fold, x[dev], y[dev], x[test])
    accuracy = ((out_of_fold > 0.5) == y).mean()
    print(f"out-of-fold AUC {roc_auc_score(y, out_of_fold):.4f}  accuracy {accuracy:.4f} "
          f"(majority class {max(y.mean(), 1 - y.mean()):.3f})")


if __name__ == "__main__":
    main()
