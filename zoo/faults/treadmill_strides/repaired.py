# Gait of a treadmill user from a belt accelerometer: walk / jog / limp / stairs
# first LSTM, before this I only used sklearn
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(33)
np.random.seed(33)

SEQ_LEN = 48
N_AXES = 3
GAITS = ["walk", "jog", "limp", "stairs"]


def record(gait):
    t = np.arange(SEQ_LEN) / 16.0
    start = np.random.uniform(0, 2 * np.pi)
    speed = np.random.uniform(0.9, 1.1)
    f, amp = (1.9, 1.2) if gait == 1 else (1.0, 1.0)
    w = 2 * np.pi * f * speed * t + start
    up = amp * np.sin(w)
    if gait == 2:
        up = up + 0.7 * np.sin(0.5 * w)
    forward = 0.6 * np.cos(w + (np.pi if gait == 3 else 0.0))
    sideways = 0.3 * np.sin(0.5 * w)
    signal = np.stack([up, forward, sideways], axis=1)
    return signal + 0.25 * np.random.randn(SEQ_LEN, N_AXES)


labels = np.random.randint(0, len(GAITS), 1600)
signals = np.stack([record(g) for g in labels]).astype(np.float32)

n_train = 1200
mean = signals[:n_train].mean(axis=(0, 1))
std = signals[:n_train].std(axis=(0, 1))
signals = (signals - mean) / std

x = torch.from_numpy(signals)
y = torch.from_numpy(labels).long()
train_loader = DataLoader(TensorDataset(x[:n_train], y[:n_train]), batch_size=40, shuffle=True)
test_loader = DataLoader(TensorDataset(x[n_train:], y[n_train:]), batch_size=40)


class GaitLSTM(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(N_AXES, hidden)
        self.fc = nn.Linear(hidden, len(GAITS))

    def forward(self, seq):
        # seq: (time, batch, axes)
        out, (h, c) = self.lstm(seq)
        return self.fc(h[-1])


model = GaitLSTM()
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(20):
    model.train()
    total_loss = 0
    for xb, yb in train_loader:
        opt.zero_grad()
        scores = model(xb.permute(1, 0, 2))
        loss = loss_fn(scores, yb)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        total_loss += loss.item()
    if epoch % 2 == 1:
        print("Epoch:", epoch + 1, "loss:", total_loss / len(train_loader))

model.eval()
right = 0
confusion = np.zeros((4, 4), dtype=int)
with torch.no_grad():
    for xb, yb in test_loader:
        pred = model(xb.permute(1, 0, 2)).argmax(dim=1)
        right += (pred == yb).sum().item()
        for a, b in zip(yb.tolist(), pred.tolist()):
            confusion[a, b] += 1

print(confusion)
print("Test accuracy:", right / (len(x) - n_train))
