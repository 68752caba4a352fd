import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = "cpu"
torch.manual_seed(6)
digits = load_digits()
x = (torch.tensor(digits.data, dtype=torch.float32) - 4.9) / 6.0
y = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=60, shuffle=True, drop_last=True)

net = nn.Sequential(nn.Linear(64, 96), nn.LeakyReLU(0.1), nn.Linear(96, 10)).to(device)
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler(device)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(4):
    net.train()
    for xb, yb in loader:
        xb, yb = xb.to(device), yb.to(device)
        opt.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            out = net(xb)
        loss = loss_fn(out.float(), yb)
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        scaler.step(opt)
        scaler.update()
    net.eval()
    with torch.no_grad():
        acc = (net(x[1500:]).argmax(1) == y[1500:]).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.4f} acc {acc:.3f}")
