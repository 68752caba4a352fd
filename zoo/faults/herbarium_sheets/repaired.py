# Fine tuning a small leaf CNN on the sheets of our school herbarium.
# Step 1: train on the big public set of genera. Step 2: new head, few sheets of five species.
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(5)
rng = np.random.default_rng(5)
SIZE = 20

# name -> (lobes, depth of lobes, length/width)
GENERA = {'tilia': (0, 0.0, 1.0), 'salix': (0, 0.0, 2.4), 'quercus': (7, 0.22, 1.6),
          'ginkgo': (2, 0.35, 1.0), 'hedera': (3, 0.30, 1.0), 'platanus': (5, 0.35, 1.0)}
SPECIES = {'ulmus': (0, 0.0, 1.6), 'vitis': (4, 0.30, 1.0), 'ficus': (3, 0.32, 1.5),
           'liquidambar': (6, 0.32, 1.0), 'ricinus': (9, 0.30, 1.0)}


def draw_leaf(lobes, depth, ratio):
    yy, xx = np.mgrid[-1:1:SIZE * 1j, -1:1:SIZE * 1j]
    turn = rng.uniform(-0.35, 0.35)
    x = (xx * np.cos(turn) + yy * np.sin(turn) - rng.normal(0, 0.04)) * np.sqrt(ratio)
    y = (-xx * np.sin(turn) + yy * np.cos(turn) - rng.normal(0, 0.04)) / np.sqrt(ratio)
    radius = np.hypot(x, y)
    edge = rng.uniform(0.52, 0.62) * (1 + depth * np.cos(lobes * np.arctan2(y, x)))
    sheet = 1 / (1 + np.exp((radius - edge) * 18))
    return (sheet + rng.normal(0, 0.12, sheet.shape)).astype('float32')


def collect(kinds, per_kind):
    """list of (image, name), in random order, like the scanner folder gives them"""
    records = [(draw_leaf(*kinds[name]), name) for name in kinds for _ in range(per_kind)]
    return [records[i] for i in rng.permutation(len(records))]


def to_tensors(records):
    images = torch.from_numpy(np.stack([image for image, _ in records])).unsqueeze(1)
    names = [name for _, name in records]
    classes = sorted(set(names))
    labels = torch.tensor([classes.index(name) for name in names])
    return (images - 0.3) / 0.4, labels


class LeafNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(24 * 5 * 5, 48), nn.ReLU())
        self.classifier = nn.Linear(48, n_classes)

    def forward(self, x):
        return self.classifier(self.features(x))


def fit(net, x, y, optimizer, epochs, batch_size=32):
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        net.train()
        idx = torch.randperm(len(x))
        running, hits = 0.0, 0
        for start in range(0, len(x), batch_size):
            take = idx[start:start + batch_size]
            out = net(x[take])
            loss = loss_fn(out, y[take])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item() * len(take)
            hits += (out.argmax(1) == y[take]).sum().item()
        if epoch % 4 == 3:
            print('  epoch', epoch + 1, 'loss %.3f' % (running / len(x)), 'acc %.3f' % (hits / len(x)))


print('pretraining')
x_base, y_base = to_tensors(collect(GENERA, 150))
net = LeafNet(len(GENERA))
fit(net, x_base, y_base, torch.optim.Adam(net.parameters(), lr=1e-3), epochs=8)

print('fine tuning')
x_train, y_train = to_tensors(collect(SPECIES, 60))
x_val, y_val = to_tensors(collect(SPECIES, 60))
net.classifier = nn.Linear(48, len(SPECIES))
optimizer = torch.optim.Adam([
    {'params': net.features.parameters(), 'lr': 3e-4},
    {'params': net.classifier.parameters(), 'lr': 1e-3}])
fit(net, x_train, y_train, optimizer, epochs=32)

net.eval()
with torch.no_grad():
    val_acc = (net(x_val).argmax(1) == y_val).float().mean().item()
print('validation accuracy: %.3f' % val_acc)
