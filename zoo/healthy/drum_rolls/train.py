"""A drummer's part is written as strokes (R, L, flam, rest); we only have the strokes in order, not
when they fall.  CTC on a bidirectional GRU over noisy 3-channel microphone frames."""
import os
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
STROKES = 4                       # classes 1..4; 0 is the CTC blank
SHAPES = torch.tensor([[1.0, 0.1, 0.4], [0.1, 1.0, 0.4], [0.7, 0.7, -0.6], [-0.5, -0.5, -0.2]])


def bar(g):
    k = int(torch.randint(3, 8, (1,), generator=g))
    seq = torch.randint(STROKES, (k,), generator=g)
    frames = []
    for s in seq.tolist():
        gap = int(torch.randint(1, 4, (1,), generator=g))
        ring = int(torch.randint(2, 5, (1,), generator=g))
        frames.append(torch.zeros(gap, 3))
        frames.append(SHAPES[s] * torch.linspace(1.2, 0.6, ring)[:, None])
    x = torch.cat(frames + [torch.zeros(2, 3)])
    return x + 0.25 * torch.randn(x.shape, generator=g), seq + 1


def collate(bars):
    xs, ys = zip(*bars)
    x = nn.utils.rnn.pad_sequence(xs)                          # T B 3
    return x, torch.tensor([len(a) for a in xs]), torch.cat(ys), torch.tensor([len(b) for b in ys])


class Listener(nn.Module):
    def __init__(self, h=48):
        super().__init__()
        self.conv = nn.Conv1d(3, h, 5, padding=2)
        self.rnn = nn.GRU(h, h, bidirectional=True)
        self.out = nn.Linear(2 * h, STROKES + 1)

    def forward(self, x, lens):
        h = F.relu(self.conv(x.permute(1, 2, 0))).permute(2, 0, 1)
        packed = nn.utils.rnn.pack_padded_sequence(h, lens, enforce_sorted=False)
        h, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0])
        return self.out(h).log_softmax(-1)


def greedy(logp, lens):
    out = []
    for path, n in zip(logp.argmax(-1).T, lens):
        p = torch.unique_consecutive(path[:n])
        out.append(p[p != 0].tolist())
    return out


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        prev, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            prev, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, prev + (x != y))
    return row[-1]


g = torch.Generator().manual_seed(SEED)
train = [bar(g) for _ in range(1600)]
test = [bar(g) for _ in range(400)]
train.sort(key=lambda b: len(b[0]))                            # bars of like length share a batch
buckets = [collate(train[i:i + 32]) for i in range(0, len(train), 32)]
held = collate(test)


@torch.no_grad()
def stroke_error(model):
    model.eval()
    said = greedy(model(held[0], held[1]), held[1])
    truth = [y.tolist() for _, y in test]
    return sum(edits(a, b) for a, b in zip(said, truth)) / sum(map(len, truth))


model = Listener()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
EPOCHS = 7
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS * len(buckets))
for ep in range(1, EPOCHS + 1):
    model.train()
    tot = 0.0
    for b in torch.randperm(len(buckets)).tolist():            # order of the buckets is random
        x, xl, y, yl = buckets[b]
        loss = F.ctc_loss(model(x, xl), y, xl, yl, zero_infinity=True)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        opt.step()
        sched.step()
        tot += loss.item()
    if ep % 2 == 0:
        print(f"epoch {ep} ctc {tot / len(buckets):.4f}")
print(f"stroke error rate on unheard bars {stroke_error(model):.4f}")
