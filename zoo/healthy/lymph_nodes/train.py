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
PATIENCE = 12


def as_dataset(x, y):
    return TensorDataset(torch.from_numpy(x).float(), torch.from_numpy(y).float())


def build_model(n_features):
    return nn.Sequential(
        nn.Linear(n_features, 32),
        nn.GELU(),
        nn.Dropout(0.2),
        nn.Linear(32, 16),
        nn.GELU(),
        nn.Linear(16, 1),
        nn.Flatten(0),
    )


def run_epoch(model, loader, criterion, optimizer):
    model.train()
    running = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(yb)
    return running / len(loader.dataset)


def predict(model, dataset):
    model.eval()
    with torch.no_grad():
        return model(dataset.tensors[0])


def fit_fold(x_train, y_train, x_val, y_val, seed):
    torch.manual_seed(seed)
    train_set, val_set = as_dataset(x_train, y_train), as_dataset(x_val, y_val)
    loader = DataLoader(train_set, batch_size=32, shuffle=True)
    model = build_model(x_train.shape[1])
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)

    best_loss, best_state, waited = np.inf, None, 0
    for epoch in range(MAX_EPOCHS):
        train_loss = run_epoch(model, loader, criterion, optimizer)
        val_loss = criterion(predict(model, val_set), val_set.tensors[1]).item()
        if val_loss < best_loss - 1e-4:
            best_loss, waited = val_loss, 0
            best_state = copy.deepcopy(model.state_dict())
        else:
            waited += 1
            if waited >= PATIENCE:
                break
    model.load_state_dict(best_state)
    print(f"  stopped after epoch {epoch + 1}: train {train_loss:.4f}, best val {best_loss:.4f}")
    return model


def main():
    x, y = load_breast_cancer(return_X_y=True)
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=SEED)
    accs, aucs = [], []
    for k, (dev, test) in enumerate(folds.split(x, y)):
        train, val = train_test_split(dev, test_size=0.15, stratify=y[dev], random_state=SEED)
        scaler = StandardScaler().fit(x[train])
        model = fit_fold(scaler.transform(x[train]), y[train], scaler.transform(x[val]), y[val], SEED + k)
        test_set = as_dataset(scaler.transform(x[test]), y[test])
        logits = predict(model, test_set)
        accs.append(((logits > 0).float() == test_set.tensors[1]).float().mean().item())
        aucs.append(roc_auc_score(y[test], logits.numpy()))
        print(f"fold {k}: accuracy {accs[-1]:.4f}  auc {aucs[-1]:.4f}")
    print(f"majority rate {max(y.mean(), 1 - y.mean()):.4f}")
    print(f"cross-validated accuracy {np.mean(accs):.4f} +- {np.std(accs):.4f}, auc {np.mean(aucs):.4f}")


if __name__ == "__main__":
    main()
