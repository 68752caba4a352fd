"""Read single characters cut out of moped number plates (frames come from OpenCV: BGR, uint8)."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(41)
rng = np.random.RandomState(41)

FONT = {
    "A": "01110 10001 10001 11111 10001 10001 10001", "C": "01111 10000 10000 10000 10000 10000 01111",
    "E": "11111 10000 10000 11110 10000 10000 11111", "F": "11111 10000 10000 11110 10000 10000 10000",
    "H": "10001 10001 10001 11111 10001 10001 10001", "K": "10001 10010 10100 11000 10100 10010 10001",
    "M": "10001 11011 10101 10101 10001 10001 10001", "P": "11110 10001 10001 11110 10000 10000 10000",
    "R": "11110 10001 10001 11110 10100 10010 10001", "T": "11111 00100 00100 00100 00100 00100 00100",
    "X": "10001 10001 01010 00100 01010 10001 10001", "Z": "11111 00001 00010 00100 01000 10000 11111",
}
LETTERS = list(FONT)
GLYPHS = [np.array([[int(c) for c in row] for row in FONT[k].split()], float) for k in LETTERS]


def crop(k):
    """One BGR crop, 28 x 20, as it leaves the plate detector."""
    big = np.kron(GLYPHS[k], np.ones((3, 3)))
    canvas = np.zeros((28, 20))
    dy, dx = rng.randint(0, 8), rng.randint(0, 6)
    canvas[dy:dy + 21, dx:dx + 15] = big
    plate = np.array([40, 190, 210]) if rng.rand() < 0.5 else np.array([205, 205, 205])
    ink = np.array([30, 25, 25])
    img = canvas[..., None] * ink + (1 - canvas[..., None]) * plate
    img = img * rng.uniform(0.5, 1.1) + rng.normal(0, 14, img.shape)
    return np.clip(img, 0, 255).astype(np.uint8)


def collect(n):
    y = rng.randint(0, len(LETTERS), n)
    return np.stack([crop(k) for k in y]), y


frames, labels = collect(2000)
test_frames, test_labels = collect(600)


def to_tensor(batch):
    batch = torch.from_numpy(batch).permute(0, 3, 1, 2)
    return batch.float()


def batches(size=40):
    order = rng.permutation(len(frames))
    for i in range(0, len(order), size):
        pick = order[i:i + size]
        yield to_tensor(frames[pick]), torch.from_numpy(labels[pick])


class PlateReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Linear(32 * 7 * 5, 64), nn.ReLU(), nn.Linear(64, len(LETTERS)))

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def accuracy(model):
    model.eval()
    with torch.no_grad():
        guess = model(to_tensor(test_frames)).argmax(1)
    return (guess == torch.from_numpy(test_labels)).float().mean().item()


reader = PlateReader()
loss_fn = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(reader.parameters(), lr=0.02, momentum=0.9)

for epoch in range(1, 11):
    reader.train()
    losses = []
    for x, y in batches():
        loss = loss_fn(reader(x), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    print(f"{epoch:2d}  loss {np.mean(losses):.4f}")

print(f"characters read correctly: {accuracy(reader):.4f}")
