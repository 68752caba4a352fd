"""Who is at the door? Classify visits by the rhythm of the bell (hackathon project, smart doorbell).

A visit is a list of unix times (seconds) at which the button was pressed.
"""
import random

import torch
from torch import nn

PRESSES = 12
# mean pause in seconds and how regular it is
VISITORS = {
    "courier": (9.0, 0.35),
    "neighbour": (28.0, 0.35),
    "salesman": (28.0, 1.1),
    "scouts": (75.0, 0.35),
}


def visit(rnd, kind):
    pause, spread = VISITORS[kind]
    now = 1_700_000_000 + rnd.uniform(0, 60 * 60 * 24 * 90)
    presses = [now]
    tempo = rnd.gauss(0, 0.25)
    for _ in range(PRESSES - 1):
        now += pause * 2.718 ** (tempo + spread * rnd.gauss(0, 1))
        presses.append(now)
    return presses


def read_log(count, rnd):
    kinds = [rnd.randrange(len(VISITORS)) for _ in range(count)]
    log = [visit(rnd, list(VISITORS)[k]) for k in kinds]
    return log, torch.tensor(kinds)


def pauses(log):
    times = torch.tensor(log)
    return times.diff(dim=1).log1p().float()


def make_trainer(model, lr):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    criterion = nn.CrossEntropyLoss()

    def fit_batch(x, y):
        model.train()
        opt.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        opt.step()
        return loss.item()

    def accuracy(x, y):
        model.eval()
        with torch.no_grad():
            return (model(x).argmax(1) == y).float().mean().item()

    return fit_batch, accuracy


def main():
    rnd = random.Random(14)
    torch.manual_seed(14)
    log_train, y_train = read_log(2000, rnd)
    log_test, y_test = read_log(500, rnd)
    x_train, x_test = pauses(log_train), pauses(log_test)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

    model = nn.Sequential(
        nn.Linear(PRESSES - 1, 160), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(160, 160), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(160, len(VISITORS)),
    )
    fit_batch, accuracy = make_trainer(model, lr=1e-3)
    for epoch in range(12):
        losses = [fit_batch(x_train[i], y_train[i]) for i in torch.randperm(len(x_train)).split(100)]
        print(f"epoch {epoch:2d}  loss {sum(losses) / len(losses):.3f}  test {accuracy(x_test, y_test):.3f}")


if __name__ == "__main__":
    main()
