import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.prune as prune
from sklearn.datasets import load_digits

torch.manual_seed(14)
pixels, labels = load_digits(return_X_y=True)
pixels = torch.tensor(pixels, dtype=torch.float32)
labels = torch.tensor(labels)
mix = torch.randperm(len(labels))
train_rows, test_rows = mix[:1300], mix[1300:]
level = pixels[train_rows].mean(0)
spread = pixels[train_rows].std(0).clamp(min=0.5)
pixels = (pixels - level) / spread

net = nn.Sequential(nn.Linear(64, 120), nn.ReLU(), nn.Linear(120, 60), nn.ReLU(), nn.Linear(60, 10))
dense = [m for m in net if isinstance(m, nn.Linear)]
start = [(m.weight.detach().clone(), m.bias.detach().clone()) for m in dense]


def accuracy():
    net.eval()
    with torch.no_grad():
        return (net(pixels[test_rows]).argmax(1) == labels[test_rows]).float().mean().item()


def share_left():
    return sum((m.weight != 0).sum().item() for m in dense) / sum(m.weight.numel() for m in dense)


def train(epochs):
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    net.train()
    for _ in range(epochs):
        total = 0.0
        for rows in train_rows[torch.randperm(len(train_rows))].split(64):
            opt.zero_grad()
            loss = F.cross_entropy(net(pixels[rows]), labels[rows])
            loss.backward()
            opt.step()
            total += loss.item() * len(rows)
        sched.step()
    return total / len(train_rows)


loss = train(8)
print(f"all weights: loss {loss:.4f} test {accuracy():.4f}")
for turn in range(1, 5):
    prune.global_unstructured([(m, "weight") for m in dense], prune.L1Unstructured, amount=0.5)
    with torch.no_grad():  # the winning tickets go back to where they began
        for m, (weight, bias) in zip(dense, start):
            m.weight_orig.copy_(weight)
            m.bias.copy_(bias)
    loss = train(8)
    print(f"turn {turn}: {100 * share_left():.1f} % of the weights, loss {loss:.4f} test {accuracy():.4f}")

for m in dense:
    prune.remove(m, "weight")
print(f"lean net: {100 * share_left():.1f} % of the weights, test {accuracy():.4f}")
