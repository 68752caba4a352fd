"""Name the frog by its call: a bidirectional LSTM on frames of (loudness, pitch), calls of any length."""
import math
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

# pulses per second, pitch (kHz), sweep within a pulse (kHz)
SPECIES = {
    "tree frog": (3.0, 2.4, 0.0),
    "marsh frog": (6.0, 1.9, 0.0),
    "green toad": (3.0, 1.8, 0.8),
    "midwife toad": (6.0, 1.5, 0.0),
    "spadefoot": (3.0, 1.8, -0.8),
}
NAMES = list(SPECIES)
FRAME = 0.025


def record(species):
    rate, pitch, sweep = SPECIES[species]
    rate *= random.uniform(0.9, 1.1)
    pitch += random.gauss(0, 0.12)
    phase = random.random()
    frames = []
    for t in range(random.randint(20, 44)):
        at = (phase + t * FRAME * rate) % 1.0
        loud = max(0.0, math.sin(2 * math.pi * at)) + abs(random.gauss(0, 0.1))
        heard = pitch + sweep * (2 * at - 0.5) - 1.9 if at < 0.5 else 0.0
        frames.append((2 * loud - 1, 2 * heard + random.gauss(0, 0.2)))
    return torch.tensor(frames)


class CallNet(nn.Module):
    def __init__(self, hidden=28):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, bidirectional=True)
        self.head = nn.Linear(2 * hidden, len(NAMES))

    def forward(self, calls):
        packed = pack_sequence(calls, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)
        forwards, backwards = last
        return self.head(torch.cat((forwards, backwards), dim=-1))


def batches(data, size, shuffle):
    order = list(range(len(data)))
    if shuffle:
        random.shuffle(order)
    for start in range(0, len(order), size):
        chosen = [data[i] for i in order[start : start + size]]
        yield [call for call, _ in chosen], torch.tensor([label for _, label in chosen])


random.seed(404)
torch.manual_seed(404)
dataset = [(record(name), label) for label, name in enumerate(NAMES) for _ in range(160)]
random.shuffle(dataset)
test, train = dataset[:200], dataset[200:]

net = CallNet()
adam = torch.optim.Adam(net.parameters(), lr=1e-2)
cross_entropy = nn.CrossEntropyLoss()
cooling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 14, eta_min=1e-3)
for epoch in range(1, 15):
    net.train()
    seen = summed = 0
    for calls, labels in batches(train, 24, shuffle=True):
        adam.zero_grad()
        loss = cross_entropy(net(calls), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        seen += len(labels)
        summed += loss.item() * len(labels)
    cooling.step()
    net.eval()
    right = 0
    with torch.no_grad():
        for calls, labels in batches(test, 100, shuffle=False):
            right += (net(calls).argmax(dim=-1) == labels).sum().item()
    print(f"{epoch:2d} loss {summed / seen:.3f} test accuracy {right / len(test):.3f}")
