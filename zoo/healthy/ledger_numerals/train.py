import copy

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ConvClassifier(ClassifierMixin, BaseEstimator):
    """Convolutional network with the interface of scikit-learn; keeps the weights of the best validation epoch."""

    def __init__(self, channels=16, dropout=0.25, lr=3e-3, batch_size=64, max_epochs=14, patience=4, seed=0):
        self.channels = channels
        self.dropout = dropout
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.seed = seed

    def _build(self, n_classes):
        c = self.channels
        return nn.Sequential(
            nn.Conv2d(1, c, 3, padding=1, bias=False),
            nn.BatchNorm2d(c),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(c, 2 * c, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * c),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(self.dropout),
            nn.Linear(8 * c, n_classes),
        )

    @staticmethod
    def _tensor(X):
        return torch.as_tensor(np.asarray(X), dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1

    def fit(self, X, y):
        torch.manual_seed(self.seed)
        self.classes_, y = np.unique(y, return_inverse=True)
        X_fit, X_val, y_fit, y_val = train_test_split(X, y, test_size=0.15, stratify=y, random_state=self.seed)
        data = TensorDataset(self._tensor(X_fit), torch.as_tensor(y_fit))
        loader = DataLoader(data, batch_size=self.batch_size, shuffle=True, drop_last=True)

        self.net_ = self._build(len(self.classes_))
        optimizer = torch.optim.Adam(self.net_.parameters(), lr=self.lr)
        criterion = nn.CrossEntropyLoss()
        best_loss, best_state, waited = float("inf"), None, 0
        self.history_ = []
        for _ in range(self.max_epochs):
            self.net_.train()
            for xb, yb in loader:
                loss = criterion(self.net_(xb), yb)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            val_loss = criterion(self._logits(X_val), torch.as_tensor(y_val)).item()
            self.history_.append(val_loss)
            if val_loss < best_loss:
                best_loss, best_state, waited = val_loss, copy.deepcopy(self.net_.state_dict()), 0
            else:
                waited += 1
                if waited == self.patience:
                    break
        self.net_.load_state_dict(best_state)
        return self

    def _logits(self, X):
        self.net_.eval()
        with torch.no_grad():
            return self.net_(self._tensor(X))

    def predict_proba(self, X):
        return self._logits(X).softmax(dim=1).numpy()

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(digits.data, digits.target, test_size=400, random_state=8)
reader = ConvClassifier(seed=8).fit(X_train, y_train)
print("validation loss by epoch:", " ".join(f"{v:.3f}" for v in reader.history_))
print(classification_report(y_test, reader.predict(X_test), digits=3))
print(f"test accuracy {reader.score(X_test, y_test):.4f}")
