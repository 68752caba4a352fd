"""Incident type from the log of a server session (a list of event ids of any length)."""
import argparse
import os
import random

import numpy as np
import torch
from torch import nn

INCIDENTS = ["none", "disk", "deadlock", "dns", "certificate"]
N_EVENTS = 36


def set_all_seeds(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def make_sessions(n, patterns):
    """A session of an incident has one of its two-event signatures somewhere, twice."""
    sessions = []
    for _ in range(n):
        label = random.randrange(len(INCIDENTS))
        events = [random.randint(1, N_EVENTS) for _ in range(random.randint(12, 26))]
        if label:
            for _ in range(2):
                where = random.randrange(len(events) - 1)
                events[where:where + 2] = random.choice(patterns[label])
        sessions.append((events, label))
    return sessions


def batches(sessions, size, shuffle):
    order = list(range(len(sessions)))
    if shuffle:
        random.shuffle(order)
    for i in range(0, len(order), size):
        part = [sessions[j] for j in order[i:i + size]]
        lengths = [len(e) for e, _ in part]
        ids = torch.zeros(len(part), max(lengths), dtype=torch.long)
        for row, (events, _) in enumerate(part):
            ids[row, :len(events)] = torch.tensor(events)
        yield ids, lengths, torch.tensor([y for _, y in part])


class EventEncoder(nn.Module):
    def __init__(self, dim, channels):
        super().__init__()
        self.embedding = nn.Embedding(N_EVENTS + 1, dim, padding_idx=0)
        self.conv = nn.Conv1d(dim, channels, kernel_size=2)

    def forward(self, ids):
        x = self.embedding(ids).transpose(1, 2)
        return torch.relu(self.conv(x)).transpose(1, 2)


def pool_sessions(hidden, lengths):
    """(batch, time, channels) to (batch, channels); sessions have different lengths, so row by row"""
    pooled = [row[:n - 1].amax(dim=0) for row, n in zip(hidden, lengths)]
    return torch.stack(pooled)


class IncidentModel(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.encoder = EventEncoder(args.dim, args.channels)
        self.head = nn.Sequential(
            nn.Linear(args.channels, args.hidden), nn.ReLU(), nn.Linear(args.hidden, len(INCIDENTS))
        )

    def forward(self, ids, lengths):
        return self.head(pool_sessions(self.encoder(ids), lengths))


@torch.no_grad()
def evaluate(model, sessions):
    model.eval()
    right = 0
    for ids, lengths, y in batches(sessions, 200, shuffle=False):
        right += (model(ids, lengths).argmax(1) == y).sum().item()
    return right / len(sessions)


def train(model, sessions, val, args):
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for ids, lengths, y in batches(sessions, args.batch_size, shuffle=True):
            optimizer.zero_grad()
            loss = criterion(model(ids, lengths), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total += loss.item() * len(y)
        print(f"epoch {epoch + 1}/{args.epochs} loss={total / len(sessions):.4f} val={evaluate(model, val):.3f}")


def main(args):
    torch.set_num_threads(1)
    set_all_seeds(args.seed)
    pairs = random.sample([(a, b) for a in range(1, N_EVENTS + 1) for b in range(1, N_EVENTS + 1)], 8)
    patterns = {k: [list(pairs[2 * k - 2]), list(pairs[2 * k - 1])] for k in range(1, len(INCIDENTS))}
    data = make_sessions(3000, patterns)
    train_set, val_set, test_set = data[:2000], data[2000:2300], data[2300:]
    model = IncidentModel(args)
    print(sum(p.numel() for p in model.parameters() if p.requires_grad), "parameters")
    train(model, train_set, val_set, args)
    print(f"final test accuracy: {evaluate(model, test_set):.4f}")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")))
    p.add_argument("--dim", type=int, default=24)
    p.add_argument("--channels", type=int, default=48)
    p.add_argument("--hidden", type=int, default=32)
    p.add_argument("--lr", type=float, default=6e-3)
    p.add_argument("--epochs", type=int, default=11)
    p.add_argument("--batch-size", type=int, default=48)
    main(p.parse_args())
