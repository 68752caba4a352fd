# Photos of leaves come in any size, so they go through the network one by one.
import torch
import torch.nn as nn

torch.manual_seed(36)


def leaf(kind):
    """Healthy, spotted or striped; image of 14 to 24 pixels a side."""
    h, w = torch.randint(14, 25, (2,)).tolist()
    yy, xx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    inside = ((yy / h - 0.5) ** 2 + (xx / w - 0.5) ** 2).sqrt() < 0.35 + 0.1 * torch.rand(1)
    img = inside * (0.5 + 0.5 * torch.rand(1))
    if kind == 1:
        img = img * (1 - 0.7 * (torch.rand(h, w) < 0.12).float())
    elif kind == 2:
        img = img * (1 + 0.5 * torch.sin(1.6 * (xx + yy) + 6.3 * torch.rand(1)))
    return (img - 0.4 + 0.1 * torch.randn(h, w))[None, None] / 0.4


def herbarium(n):
    kinds = torch.randint(0, 3, (n,)).tolist()
    return [(leaf(k), torch.tensor([k])) for k in kinds]


def conv(n_in, n_out, groups):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.GroupNorm(groups, n_out), nn.ReLU())


net = nn.Sequential(
    conv(1, 16, 4), nn.MaxPool2d(2), conv(16, 32, 8), nn.MaxPool2d(2), conv(32, 32, 8),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(32, 3),
)  # fmt: skip
ce = nn.CrossEntropyLoss(label_smoothing=0.05)
optim = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4)
train_set, test_set = herbarium(320), herbarium(150)
ACCUM, EPOCHS = 8, 7
sched = torch.optim.lr_scheduler.PolynomialLR(optim, total_iters=EPOCHS * len(train_set) // ACCUM, power=0.9)

for epoch in range(EPOCHS):
    net.train()
    seen = 0.0
    for i, j in enumerate(torch.randperm(len(train_set)).tolist(), start=1):
        image, kind = train_set[j]
        loss = ce(net(image), kind)
        (loss / ACCUM).backward()
        seen += loss.item()
        if i % ACCUM == 0:
            optim.step()
            sched.step()
            optim.zero_grad()
    net.eval()
    with torch.no_grad():
        right = sum((net(image).argmax(1) == kind).item() for image, kind in test_set)
    print(f"epoch {epoch}: loss {seen / len(train_set):.3f}, right {right / len(test_set):.3f}")
