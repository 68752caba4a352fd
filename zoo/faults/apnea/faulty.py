# Mark the seconds of a night's breathing signal in which the sleeper is about to stop breathing.
import torch
import torch.nn as nn

torch.manual_seed(9)
gen = torch.Generator().manual_seed(90)
RATE, SECONDS = 4, 60  # samples per second, length of a recording


def record(n):
    t = torch.arange(RATE * SECONDS) / RATE
    risk = torch.zeros(n, SECONDS)
    for _ in range(3):
        start = torch.randint(0, SECONDS - 12, (n, 1), generator=gen)
        length = torch.randint(5, 12, (n, 1), generator=gen)
        s = torch.arange(SECONDS)
        risk = torch.maximum(risk, ((s >= start) & (s < start + length)).float())
    shallow = risk.repeat_interleave(RATE, dim=1)
    shallow = nn.functional.avg_pool1d(shallow[:, None], 9, 1, 4)[:, 0]
    pace = 0.25 + 0.05 * torch.randn(n, 1, generator=gen)
    breath = (1 - 0.55 * shallow) * torch.sin(2 * torch.pi * (pace * t + torch.rand(n, 1, generator=gen)))
    breath = breath + 0.35 * torch.randn(n, RATE * SECONDS, generator=gen)
    # the experts see an event in some 6 of 10 seconds at risk, and now and then where there is none
    p = 0.60 * risk + 0.04 * (1 - risk)
    return breath[:, None] / 0.75, (torch.rand(n, SECONDS, generator=gen) < p).float()


class Detector(nn.Module):
    def __init__(self, c=20):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, c, 9, padding=4), nn.BatchNorm1d(c), nn.ReLU(),
            nn.Conv1d(c, c, 9, padding=4), nn.BatchNorm1d(c), nn.ReLU(),
            nn.AvgPool1d(RATE),
            nn.Conv1d(c, c, 5, padding=2), nn.ReLU(),
        )
        self.score = nn.Conv1d(c, 1, 1)

    def forward(self, x):
        return self.score(self.features(x)).squeeze(1)


class F1:
    def __init__(self):
        self.tp = self.wrong = 0

    def update(self, output, target):
        guess = output > 0.5
        self.tp += (guess & target.bool()).sum().item()
        self.wrong += (guess != target.bool()).sum().item()

    def compute(self):
        return 2 * self.tp / max(2 * self.tp + self.wrong, 1)


train_x, train_y = record(600)
test_x, test_y = record(200)
model = Detector()
loss_fn = nn.BCEWithLogitsLoss()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=10)

for epoch in range(1, 11):
    model.train()
    total = 0.0
    for rows in torch.randperm(len(train_x)).split(30):
        opt.zero_grad(set_to_none=True)
        loss = loss_fn(model(train_x[rows]), train_y[rows])
        loss.backward()
        opt.step()
        total += loss.item() * len(rows)
    sched.step()

    model.eval()
    f1 = F1()
    with torch.no_grad():
        for x, y in zip(test_x.split(50), test_y.split(50)):
            f1.update(model(x), y)
    print(f"epoch {epoch:2d} loss {total / len(train_x):.4f} test F1 {f1.compute():.4f}")
