"""Motor current of a lathe, recordings of unequal length: which of four states is the tool in?"""
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))
STATES = ["sharp", "worn", "chipped", "loose"]
EPOCHS = 15


def recording(state, rng):
    n = rng.integers(60, 160)
    t = np.arange(n)
    base = np.sin(2 * np.pi * t / 12 + rng.uniform(0, 6.28)) + rng.normal(0, 0.5, n)
    if STATES[state] == "worn":
        base += 0.35 * np.sin(2 * np.pi * t / 5 + rng.uniform(0, 6.28))
    elif STATES[state] == "chipped":
        base[(t + rng.integers(0, 24)) % 24 == 0] += 1.8
    elif STATES[state] == "loose":
        base *= 1 + 0.45 * np.sin(2 * np.pi * t / 40 + rng.uniform(0, 6.28))
    return base.astype(np.float32)


class Recordings(Dataset):
    def __init__(self, n, rng):
        self.labels = rng.integers(0, len(STATES), n)
        self.signals = [recording(s, rng) for s in self.labels]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.signals[i]), int(self.labels[i])


def pad_batch(items):
    lengths = torch.tensor([len(s) for s, _ in items])
    padded = nn.utils.rnn.pad_sequence([s for s, _ in items], batch_first=True)
    mask = torch.arange(padded.shape[1])[None, :] < lengths[:, None]
    return padded.unsqueeze(1), mask.unsqueeze(1), torch.tensor([y for _, y in items])


class CurrentNet(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(1, width, 9, padding=4), nn.Conv1d(width, width, 9, padding=4),
                                    nn.Conv1d(width, width, 9, padding=8, dilation=2)])
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * width, len(STATES)))

    def forward(self, x, mask):
        for conv in self.convs:
            x = F.relu(conv(x)) * mask                  # the padding stays zero in every layer
        mean = x.sum(2) / mask.sum(2)
        peak = x.masked_fill(~mask, float("-inf")).amax(2)
        return self.head(torch.cat([mean, peak], 1))


def evaluate(model, loader):
    model.eval()
    loss_sum, right, n = 0.0, 0, 0
    with torch.no_grad():
        for x, mask, y in loader:
            out = model(x, mask)
            loss_sum += F.cross_entropy(out, y, reduction="sum").item()
            right += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss_sum / n, right / n


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    train = DataLoader(Recordings(1400, rng), batch_size=32, shuffle=True, collate_fn=pad_batch)
    valid = DataLoader(Recordings(300, rng), batch_size=100, collate_fn=pad_batch)
    test = DataLoader(Recordings(500, rng), batch_size=100, collate_fn=pad_batch)
    model = CurrentNet()
    opt = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
    best, best_state, waited = 1e9, None, 0
    for epoch in range(EPOCHS):
        model.train()
        for x, mask, y in train:
            opt.zero_grad()
            loss = F.cross_entropy(model(x, mask), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            opt.step()
        sched.step()
        v_loss, v_acc = evaluate(model, valid)
        print(f"epoch {epoch} last batch {loss.item():.3f} valid loss {v_loss:.3f} accuracy {v_acc:.3f}")
        if v_loss < best:
            best, waited = v_loss, 0
            best_state = {k: v.clone() for k, v in model.state_dict().items()}
        else:
            waited += 1
            if waited == 5:
                break
    model.load_state_dict(best_state)
    print("test loss %.3f, test accuracy %.3f" % evaluate(model, test))


if __name__ == "__main__":
    main()
