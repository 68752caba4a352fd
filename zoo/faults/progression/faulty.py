import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset


class Regressor(nn.Module):
    def __init__(self, n_in, width=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(self.body(x))


class Trainer:
    def __init__(self, model, train_loader, val_loader, lr=2e-3):
        self.model = model
        self.train_loader = train_loader
        self.val_loader = val_loader
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-4)
        self.history = []

    def fit(self, epochs):
        for epoch in range(epochs):
            self.model.train()
            losses = []
            for x, y in self.train_loader:
                self.optimizer.zero_grad()
                pred = self.model(x)
                loss = F.mse_loss(pred, y)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            r2 = self.validate()
            self.history.append((np.mean(losses), r2))
            if epoch % 5 == 4:
                print(f"epoch {epoch + 1}: mse {np.mean(losses):.4f} val r2 {r2:.3f}")

    def validate(self):
        self.model.eval()
        preds, ys = [], []
        with torch.no_grad():
            for x, y in self.val_loader:
                preds.append(self.model(x).flatten())
                ys.append(y)
        p, t = torch.cat(preds), torch.cat(ys)
        return 1 - ((p - t) ** 2).sum().item() / ((t - t.mean()) ** 2).sum().item()


torch.manual_seed(0)
X, y = load_diabetes(return_X_y=True)
Xtr, Xva, ytr, yva = train_test_split(X, y, test_size=0.2, random_state=1)
xs = StandardScaler().fit(Xtr)
mu, sd = ytr.mean(), ytr.std()
to_t = lambda a: torch.tensor(a, dtype=torch.float32)
train = TensorDataset(to_t(xs.transform(Xtr)), to_t((ytr - mu) / sd))
val = TensorDataset(to_t(xs.transform(Xva)), to_t((yva - mu) / sd))
trainer = Trainer(Regressor(10), DataLoader(train, batch_size=32, shuffle=True), DataLoader(val, batch_size=64))
trainer.fit(40)
print("best r2", max(h[1] for h in trainer.history))
