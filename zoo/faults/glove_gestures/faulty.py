import csv
import io

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(4)
torch.manual_seed(4)

N_GESTURES, N_SENSORS = 10, 14


def export_csv(rows_per_gesture=220):
    """The glove's logger gives one line per gesture: 14 flex readings and the gesture number."""
    poses = np.random.uniform(200, 800, size=(N_GESTURES, N_SENSORS))
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([f"flex{i}" for i in range(N_SENSORS)] + ["gesture"])
    for g in range(N_GESTURES):
        for _ in range(rows_per_gesture):
            grip = np.random.normal(1.0, 0.12)
            reading = poses[g] * grip + np.random.normal(0, 70, N_SENSORS)
            writer.writerow([f"{v:.1f}" for v in reading] + [g])
    buffer.seek(0)
    return buffer


class GestureTable:
    def __init__(self, handle, test_share=0.25):
        reader = csv.DictReader(handle)
        rows = [[float(v) for v in row.values()] for row in reader]
        data = np.array(rows, dtype=np.float32)
        np.random.shuffle(data)
        x, y = data[:, :-1], data[:, -1].astype(np.int64)
        cut = int(len(x) * (1 - test_share))
        mu, sd = x[:cut].mean(0), x[:cut].std(0)
        x = torch.from_numpy((x - mu) / sd)
        onehot = F.one_hot(torch.from_numpy(y), N_GESTURES).float()
        self.train = (x[:cut], onehot[:cut])
        self.test = (x[cut:], onehot[cut:])


class GloveNet(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.fc1 = nn.Linear(N_SENSORS, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, N_GESTURES)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return F.relu(self.fc3(x))


class Trainer:
    def __init__(self, net, table, lr=0.001, batch_size=40):
        self.net, self.table, self.batch_size = net, table, batch_size
        self.optimizer = torch.optim.Adam(net.parameters(), lr=lr)

    def loss(self, out, target):
        return -(target * torch.log(out.clamp(1e-7, 1.0))).sum(dim=1).mean()

    def epoch(self):
        x, y = self.table.train
        losses = []
        self.net.train()
        for idx in torch.randperm(len(x)).split(self.batch_size):
            loss = self.loss(self.net(x[idx]), y[idx])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    @torch.no_grad()
    def accuracy(self):
        self.net.eval()
        x, y = self.table.test
        return (self.net(x).argmax(1) == y.argmax(1)).float().mean().item()

    def run(self, epochs=40):
        for e in range(epochs):
            value = self.epoch()
            if e % 8 == 7:
                print(f"epoch {e + 1}: loss {value:.4f} accuracy {self.accuracy():.3f}")


table = GestureTable(export_csv())
trainer = Trainer(GloveNet(), table)
trainer.run()
print("final accuracy", round(trainer.accuracy(), 4))
