# Siamese network: are the numbers on two ticket stubs the same digit?
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import Dataset, DataLoader

SEED = 9
np.random.seed(SEED)
torch.manual_seed(SEED)


class PairDataset(Dataset):
    def __init__(self, images, labels, n_pairs):
        self.images = torch.from_numpy(images)
        self.labels = labels
        self.n_pairs = n_pairs
        self.by_class = [np.flatnonzero(labels == c) for c in range(10)]

    def __len__(self):
        return self.n_pairs

    def __getitem__(self, i):
        a = np.random.randint(len(self.labels))
        same = i % 2
        if same:
            b = np.random.choice(self.by_class[self.labels[a]])
        else:
            other = (self.labels[a] + np.random.randint(1, 10)) % 10
            b = np.random.choice(self.by_class[other])
        return self.images[a], self.images[b], torch.tensor(float(same))


class SiameseNetwork(nn.Module):
    def __init__(self, emb=16):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Sequential(nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Linear(64, emb))

    def forward_once(self, x):
        return self.fc(self.cnn(x).view(x.size(0), -1))

    def forward(self, x1, x2):
        return self.forward_once(x1), self.forward_once(x2)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, out1, out2, same):
        dist = torch.sqrt(torch.sum((out1 - out2) ** 2, dim=1))
        pos = same * dist ** 2
        neg = (1 - same) * torch.clamp(self.margin - dist, min=0.0) ** 2
        return torch.mean(pos + neg)


def embed(net, x):
    net.eval()
    with torch.no_grad():
        e = net.forward_once(torch.from_numpy(x))
    net.train()
    return e


def one_shot_accuracy(net, xtr, ytr, xte, yte):
    """label of the nearest class centre"""
    e_tr, e_te = embed(net, xtr), embed(net, xte)
    centres = torch.stack([e_tr[torch.from_numpy(ytr == c)].mean(0) for c in range(10)])
    d = ((e_te[:, None] - centres[None]) ** 2).sum(-1)
    return (d.argmin(1).numpy() == yte).mean()


digits = load_digits()
x = (digits.images[:, None] / 16.0).astype(np.float32)
xtr, xte, ytr, yte = train_test_split(x, digits.target, test_size=0.3,
                                      random_state=np.random.randint(1000))

net = SiameseNetwork()
criterion = ContrastiveLoss(margin=1.0)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
loader = DataLoader(PairDataset(xtr, ytr, n_pairs=3200), batch_size=64, shuffle=True)

counter, loss_history = [], []
for epoch in range(5):
    for i, (img0, img1, label) in enumerate(loader):
        optimizer.zero_grad()
        output1, output2 = net(img0, img1)
        loss_contrastive = criterion(output1, output2, label)
        loss_contrastive.backward()
        optimizer.step()
        if i % 25 == 0:
            print("Epoch {} step {:3d}  Current loss {:.4f}".format(epoch, i, loss_contrastive.item()))
            loss_history.append(loss_contrastive.item())

print("test accuracy by nearest centre: %.4f" % one_shot_accuracy(net, xtr, ytr, xte, yte))
