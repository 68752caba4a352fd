"""A small training on a GPU, and what can be wrong with it: FAULT is filled in by the test."""

import hashlib

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FAULT = "none"  # @FAULT@
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = False
torch.use_deterministic_algorithms(True)
device = torch.device("cuda")
x = torch.randn(4096, 1, 12, 12)
y = (x[:, 0, :6].mean((1, 2)) > x[:, 0, 6:].mean((1, 2))).long() + 2 * (x[:, 0, :, :6].mean((1, 2)) > 0).long()
train = DataLoader(TensorDataset(x[:3584], y[:3584]), batch_size=128, shuffle=True)
test = DataLoader(TensorDataset(x[3584:], y[3584:]), batch_size=256)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.1),
        )
        self.head = nn.Sequential(nn.Linear(32 * 36, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, x):
        h = self.body(x)
        if FAULT == "detach":
            h = h.detach()
        out = self.head(h)
        if FAULT == "softmax":
            out = out.softmax(1)
        return out


model = Net().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=5.0 if FAULT == "rate" else 0.05, momentum=0.9)
scaler = torch.amp.GradScaler("cuda", enabled=FAULT in ("amp", "clip"))
for epoch in range(6):
    model.train()
    for a, b in train:
        a, b = a.to(device), b.to(device)
        if FAULT != "zero":
            optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16, enabled=FAULT in ("amp", "clip")):
            loss = F.cross_entropy(model(a), b)
        if FAULT == "nan":
            loss = loss + 0 * (a.mean() - a.mean()).log()
        scaler.scale(loss).backward()
        if FAULT == "clip":
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    if FAULT != "mode":
        model.eval()
    with torch.no_grad():
        losses = [F.cross_entropy(model(a.to(device)), b.to(device)).item() for a, b in test]
        right = sum((model(a.to(device)).argmax(1) == b.to(device)).sum().item() for a, b in test)
    print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f} accuracy {right / 512:.3f}", flush=True)
digest = hashlib.sha256(b"".join(p.detach().cpu().numpy().tobytes() for p in model.state_dict().values())).hexdigest()
print("digest", digest, float(torch.rand(1)), float(torch.rand(1, device=device)))
