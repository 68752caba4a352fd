import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset


class ImageSet(Dataset):
    def __init__(self, images, labels):
        self.images = images
        self.labels = labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        img = self.images[i].float().div(255)
        return {"image": img.unsqueeze(0), "label": self.labels[i]}


def to_batch(batch):
    return batch["image"], batch["label"]


def net():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 16, 10)
    )


def main():
    torch.manual_seed(14)
    d = load_digits()
    pix = torch.tensor(d.images * 15.9).to(torch.uint8)
    lab = torch.tensor(d.target)
    tr = DataLoader(ImageSet(pix[:1400], lab[:1400]), batch_size=64, shuffle=True)
    va = DataLoader(ImageSet(pix[1400:], lab[1400:]), batch_size=200)
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(15):
        model.train()
        tot = 0.0
        for batch in tr:
            x, y = to_batch(batch)
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
            tot += loss.item() * len(x)
        model.eval()
        hit = 0
        with torch.no_grad():
            for batch in va:
                x, y = to_batch(batch)
                hit += (model(x).argmax(1) == y).sum().item()
        print(f"epoch {epoch} loss {tot / 1400:.4f} acc {hit / len(va.dataset):.3f}")


main()
