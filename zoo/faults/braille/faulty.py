import random

import torch
from torch import nn

DOTS = {  # the raised dots of each letter, 1-3 down the left side, 4-6 down the right
    "a": "1", "b": "12", "c": "14", "d": "145", "e": "15", "f": "124", "g": "1245", "h": "125", "i": "24", "j": "245",
    "k": "13", "l": "123", "m": "134", "n": "1345", "o": "135", "p": "1234", "q": "12345", "r": "1235", "s": "234", "t": "2345",
    "u": "136", "v": "1236", "w": "2456", "x": "1346", "y": "13456", "z": "1356",
}
LETTERS = sorted(DOTS)
H, W = 14, 10


def emboss(letter):
    """A worn cell: dots are shifted, of unequal height, and the paper is grainy."""
    yy, xx = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    dy, dx = random.uniform(-1.0, 1.0), random.uniform(-1.0, 1.0)
    page = 0.15 * torch.randn(H, W)
    for dot in map(int, DOTS[letter]):
        cy, cx = 2.5 + 4 * ((dot - 1) % 3) + dy, 2.5 + 4 * ((dot - 1) // 3) + dx
        page += random.uniform(0.7, 1.2) * torch.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / 1.6)
    return page


def book(n):
    letters = [random.choice(LETTERS) for _ in range(n)]
    pages = torch.stack([emboss(c) for c in letters]).unsqueeze(1)
    return pages, torch.tensor([LETTERS.index(c) for c in letters])


def make_reader():
    reader = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 3 * 2, 64), nn.ReLU(), nn.Linear(64, len(LETTERS)),
    )

    def fresh(layer):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    return reader.apply(fresh)


def run(epochs=10, batch=50):
    pages, labels = book(2500)
    test_pages, test_labels = book(600)
    mean, std = pages.mean(), pages.std()
    pages, test_pages = (pages - mean) / std, (test_pages - mean) / std
    reader = make_reader()
    loss_of = nn.CrossEntropyLoss()
    opt = torch.optim.SGD(reader.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(pages))
        for k in range(0, len(order), batch):
            rows = order[k : k + batch]
            opt.zero_grad()
            loss = loss_of(reader(pages[rows]), labels[rows])
            loss.backward()
            opt.step()
            total += loss.item()
        with torch.no_grad():
            hits = (reader(test_pages).argmax(1) == test_labels).float().mean()
        print(f"[{epoch + 1:2d}] {total * batch / len(pages):10.4f}  letters read {hits:.3f}")


random.seed(12)
torch.manual_seed(12)
run()
