# Which surface is the scooter on? Three accelerometer channels, LSTM classifier.
import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
np.random.seed(3)

SEQ_LEN = 48
SURFACES = ("asphalt", "cobbles", "gravel", "park")


def record(surface: int) -> np.ndarray:
    t = np.arange(SEQ_LEN) / 16.0
    phase = np.random.uniform(0, 2 * np.pi, 3)
    freq = [0.5, 1.3, 2.6, 4.2][surface] * np.random.uniform(0.9, 1.1)
    amp = np.random.uniform(0.7, 1.3)
    x = amp * np.sin(2 * np.pi * freq * t[:, None] + phase[None, :])
    x += 0.25 * np.random.randn(SEQ_LEN, 3)
    return x.astype(np.float32)


def build(n: int):
    labels = np.random.randint(len(SURFACES), size=n)
    series = np.stack([record(s) for s in labels])
    return TensorDataset(torch.from_numpy(series), torch.from_numpy(labels))


class SurfaceLSTM(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, n_classes: int, n_layers: int = 1):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.lstm = nn.LSTM(input_dim, hidden_dim, n_layers, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(hidden_dim, n_classes)

    def forward(self, x):
        # x: (batch, seq, features)
        out, (h, c) = self.lstm(x)
        last = out[:, -1, :]          # last time step
        return self.fc(self.dropout(last))


class EarlyStopping:
    def __init__(self, patience=6):
        self.patience = patience
        self.best = float("inf")
        self.wait = 0

    def __call__(self, val_loss):
        if val_loss < self.best - 1e-4:
            self.best, self.wait = val_loss, 0
        else:
            self.wait += 1
        return self.wait >= self.patience


train_loader = DataLoader(build(1280), batch_size=32, shuffle=True)
val_loader = DataLoader(build(320), batch_size=32)

model = SurfaceLSTM(3, 40, len(SURFACES))
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=5e-3)
stopper = EarlyStopping()

for epoch in range(7):
    model.train()
    train_loss = 0
    for seqs, targets in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(seqs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        train_loss += loss.item()

    model.eval()
    val_loss, correct = 0, 0
    with torch.no_grad():
        for seqs, targets in val_loader:
            logits = model(seqs)
            val_loss += criterion(logits, targets).item()
            correct += (logits.argmax(1) == targets).sum().item()
    val_acc = correct / len(val_loader.dataset)
    print(f"[{epoch + 1:2d}] train {train_loss / len(train_loader):.4f} "
          f"val {val_loss / len(val_loader):.4f} acc {val_acc:.3f}")
    if stopper(val_loss / len(val_loader)):
        print("no improvement, stopping early")
        break

print("validation accuracy", round(val_acc, 4))
