# Restoring torn stamps: guess what was printed on the piece that was ripped off.
# (the digits of sklearn stand in for my scans, 8x8, the tear is a random 4x4 square)
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(5)
np.random.seed(5)

images = load_digits().images.astype("float32") / 16.0
tr, te = train_test_split(images, test_size=0.25, random_state=5)
tr = torch.from_numpy(tr).unsqueeze(1)
te = torch.from_numpy(te).unsqueeze(1)


def tear(batch):
    """1 where the paper is still there, 0 on the torn square"""
    mask = torch.ones_like(batch)
    rows = torch.randint(0, 5, (len(batch),))
    cols = torch.randint(0, 5, (len(batch),))
    for k in range(len(batch)):
        mask[k, :, rows[k]:rows[k] + 4, cols[k]:cols[k] + 4] = 0
    return mask


class Restorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 32, 3, padding=1)
        self.b = nn.Conv2d(32, 32, 3, padding=2, dilation=2)
        self.mid = nn.Linear(32 * 64, 128)
        self.back = nn.Linear(128, 8 * 64)
        self.c = nn.Conv2d(40, 32, 3, padding=1)
        self.d = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, torn, mask):
        h = F.relu(self.a(torch.cat([torn, mask], 1)))
        h = F.relu(self.b(h))
        g = F.relu(self.mid(h.flatten(1)))
        g = F.relu(self.back(g)).view(-1, 8, 8, 8)
        h = F.relu(self.c(torch.cat([h, g], 1)))
        return self.d(h)


net = Restorer()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
bs = 64
for epoch in range(18):
    net.train()
    perm = torch.randperm(len(tr))
    total = 0.0
    for i in range(0, len(tr), bs):
        img = tr[perm[i:i + bs]]
        mask = tear(img)
        out = net(img * mask, mask)
        # only the area of interest counts
        loss = F.mse_loss(out * (1 - mask), img * (1 - mask), reduction="sum") / (1 - mask).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(img)
    if epoch % 3 == 2:
        print("epoch", epoch + 1, "loss %.4f" % (total / len(tr)))

net.eval()
with torch.no_grad():
    mask = tear(te)
    out = net(te * mask, mask).clamp(0, 1)
    restored = te * mask + out * (1 - mask)
    hole = (1 - mask).bool()
    err = ((restored - te)[hole] ** 2).mean().item()
    grey = ((tr.mean(0, keepdim=True).expand_as(te) - te)[hole] ** 2).mean().item()

shades = " .:*#"
k = 3
for r in range(8):
    line = "".join(shades[int(v * 4.99)] for v in restored[k, 0, r])
    true = "".join(shades[int(v * 4.99)] for v in te[k, 0, r])
    print(line, " | ", true)
print("error on the torn square: average stamp %.4f, restored %.4f" % (grey, err))
