import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
PATTERNS = 6


def tiles(n):
    """Tiles whose mean brightness and texture say which material they are."""
    y = torch.randint(0, PATTERNS, (n,))
    level = (y % 3).float() * 0.5 + 0.1 * torch.randn(n)
    rough = 0.25 + 0.35 * (y // 3).float()
    x = level[:, None, None, None] + rough[:, None, None, None] * torch.randn(n, 1, 12, 12)
    return x, y


model = nn.Sequential(
    nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(),
    nn.Linear(32 * 9, PATTERNS),
)

# keep the pooled features around for the report at the end
features = {}
model[6].register_forward_hook(lambda m, i, o: features.__setitem__("last", o.detach().mean((2, 3))))

x_train, y_train = tiles(1500)
x_test, y_test = tiles(300)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def classify(tile):
    with torch.no_grad():
        return model(tile[None]).argmax().item()


for epoch in range(5):
    for batch in torch.randperm(len(x_train)).split(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", round(loss.item(), 4))

# tiles come one by one from the camera
correct = sum(classify(tile) == label for tile, label in zip(x_test, y_test.tolist()))
print("active features %d" % (features["last"] > 0).sum())
print("test accuracy %.4f" % (correct / len(x_test)))
