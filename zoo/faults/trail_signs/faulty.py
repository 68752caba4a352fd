# way-mark signs along a hiking trail: colour x symbol -> 9 classes
import numpy as np
import torch
from torch import nn

np.random.seed(17)
torch.manual_seed(17)

N_TRAIN, N_TEST, S = 1800, 600, 24
ink = np.array([[0.8, 0.15, 0.15], [0.15, 0.25, 0.75], [0.9, 0.8, 0.2]])
grid_y, grid_x = np.mgrid[0:S, 0:S]


def paint(label):
    colour, symbol = ink[label // 3], label % 3
    cx, cy = S / 2 + np.random.uniform(-3, 3, 2)
    r = np.random.uniform(6, 9)
    dx, dy = grid_x - cx, grid_y - cy
    if symbol == 0:
        shape = (abs(dx) < r * 0.8) & (abs(dy) < r * 0.35)
    elif symbol == 1:
        shape = dx ** 2 + dy ** 2 < (0.7 * r) ** 2
    else:
        shape = (dy > -0.7 * r) & (dy < 0.7 * r) & (abs(dx) < (dy + 0.7 * r) * 0.55)
    bark = np.array([0.45, 0.4, 0.33]) * np.random.uniform(0.6, 1.3)
    img = np.where(shape[..., None], colour * np.random.uniform(0.7, 1.15), bark)
    img += np.random.normal(0, 0.08, img.shape)
    return np.clip(img, 0, 1).transpose(2, 0, 1)


labels = np.random.randint(0, 9, N_TRAIN + N_TEST)
images = torch.tensor(np.stack([paint(k) for k in labels]), dtype=torch.float32)
labels = torch.tensor(labels)
mean = images[:N_TRAIN].mean(dim=(0, 2, 3), keepdim=True)
std = images[:N_TRAIN].std(dim=(0, 2, 3), keepdim=True)
images = (images - mean) / std
x_train, y_train = images[:N_TRAIN], labels[:N_TRAIN]
x_test, y_test = images[N_TRAIN:], labels[N_TRAIN:]

act = nn.ReLU
layers, width = [], 3
for block, out in enumerate((12, 12, 16)):
    layers += [nn.Conv2d(width, out, 3, padding=1), act(),
               nn.Conv2d(out, out, 3, padding=1), act(), nn.AvgPool2d(2)]
    width = out
layers += [nn.Flatten(), nn.Linear(16 * 3 * 3, 48), act(),
           nn.Linear(48, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 9)]
model = nn.Sequential(*layers)
print(sum(p.numel() for p in model.parameters()), "parameters")

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(10):
    model.train()
    order = torch.randperm(N_TRAIN)
    running = 0.0
    for i in range(0, N_TRAIN, 36):
        pick = order[i:i + 36]
        optimizer.zero_grad()
        out = model(x_train[pick])
        loss = criterion(out, y_train[pick])
        loss.backward()
        optimizer.step()
        running += loss.item() * len(pick)
    model.eval()
    with torch.no_grad():
        acc = (model(x_test).argmax(1) == y_test).float().mean().item()
    print("epoch %d loss %.4f" % (epoch + 1, running / N_TRAIN))

print("test accuracy %.4f" % acc)
