import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


class GlyphDataset(Dataset):
    def __init__(self, part):
        bunch = load_digits()
        keep = [i for i in range(len(bunch.target)) if (i % 5 == 0) == (part == "test")]
        self.x = torch.tensor(bunch.data[keep], dtype=torch.float32) / 16.0
        self.y = torch.tensor(bunch.target[keep])

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return {"pixels": self.x[i], "label": self.y[i]}


def build():
    layers = [nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 48), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(48, 10))


def run():
    torch.manual_seed(21)
    train = DataLoader(GlyphDataset("train"), batch_size=48, shuffle=True)
    test = DataLoader(GlyphDataset("test"), batch_size=200)
    model = build()
    criterion = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(20):
        model.train()
        for batch in train:
            opt.zero_grad()
            out = model(batch["pixels"])
            loss = criterion(out, batch["label"])
            loss.backward()
            opt.step()
        model.eval()
        right = seen = 0
        with torch.no_grad():
            for batch in test:
                out = model(batch["pixels"])
                guess = out.argmax(1)
                right += int((guess == batch["label"]).sum())
                seen += len(guess)
        print(f"epoch {epoch} loss {loss.item():.4f} accuracy {right / seen:.3f}")


run()
