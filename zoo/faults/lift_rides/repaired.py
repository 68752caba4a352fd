"""A phone in a lift: up, down, stuck door or somebody jumping, from the accelerometer."""
import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import StepLR

RIDES = ("up", "down", "door", "jump")


def bump(n, at, width, height):
    return height * np.exp(-0.5 * ((np.arange(n) - at) / width) ** 2)


def record(ride, n=32):
    z = np.zeros(n)
    start = np.random.uniform(4, 9)
    stop = start + np.random.uniform(11, 16)
    strength = np.random.uniform(0.8, 1.6)
    if ride == 0:
        z += bump(n, start, 1.6, strength) - bump(n, stop, 1.6, strength)
    elif ride == 1:
        z += bump(n, stop, 1.6, strength) - bump(n, start, 1.6, strength)
    elif ride == 2:
        z += bump(n, start, 1.6, strength) + bump(n, stop, 1.6, strength)
    else:
        z += bump(n, start, 0.8, 2 * strength) - bump(n, start + 2.5, 0.8, 2 * strength)
    xyz = np.stack([0.3 * np.random.randn(n), 0.3 * np.random.randn(n), z + 0.3 * np.random.randn(n)], axis=1)
    return xyz.astype(np.float32)


def make_set(n):
    y = np.random.randint(0, len(RIDES), n)
    x = np.array([record(r) for r in y])
    return torch.from_numpy(x), torch.from_numpy(y)


class LSTMClassifier(nn.Module):
    def __init__(self, input_dim, hidden_dim, n_layers, output_dim):
        super(LSTMClassifier, self).__init__()
        self.lstm = nn.LSTM(input_dim, hidden_dim, n_layers, batch_first=True)
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        # x: (batch, time, channels)
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        preds = torch.max(model(x), 1)[1]
    model.train()
    return (preds == y).sum().item() / len(y)


def fit(model, train_set, test_set, num_epochs=14, batch_size=32):
    (x, y), history = train_set, []
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.006)
    scheduler = StepLR(optimizer, step_size=6, gamma=0.4)
    for epoch in range(num_epochs):
        order = torch.randperm(len(x))
        epoch_loss = 0.0
        for b in range(len(x) // batch_size):
            indices = order[b * batch_size : (b + 1) * batch_size]
            optimizer.zero_grad()
            loss = criterion(model(x[indices]), y[indices])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            epoch_loss += loss.item()
        scheduler.step()
        history.append(epoch_loss / (len(x) // batch_size))
        print(f"Epoch [{epoch + 1}/{num_epochs}], Loss: {history[-1]:.4f}, Test accuracy: {accuracy(model, *test_set):.3f}")
    return history


if __name__ == "__main__":
    np.random.seed(23)
    torch.manual_seed(23)
    train_set, test_set = make_set(960), make_set(320)
    model = LSTMClassifier(input_dim=3, hidden_dim=32, n_layers=1, output_dim=len(RIDES))
    fit(model, train_set, test_set)
