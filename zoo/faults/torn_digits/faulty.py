"""Digits with a torn-out strip: the network fills in what is missing."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)

EPOCHS = 40
BATCH = 64
LR = 3e-3


class Encoder(nn.Module):
    def __init__(self, n_pixels, n_code):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(n_pixels, 96),
            nn.ReLU(),
            nn.Linear(96, n_code),
            nn.ReLU(),
        )

    def forward(self, x):
        return self.model(x)


class Decoder(nn.Module):
    def __init__(self, n_code, n_pixels):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(n_code, 96),
            nn.ReLU(),
            nn.Linear(96, n_pixels),
            nn.Sigmoid(),
        )

    def forward(self, z):
        return self.model(z)


class AutoEncoder(nn.Module):
    def __init__(self, n_pixels=64, n_code=24):
        super().__init__()
        self.encoder = Encoder(n_pixels, n_code)
        self.decoder = Decoder(n_code, n_pixels)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def tear(images):
    """Two neighbouring columns of each image are lost."""
    torn = images.clone().view(-1, 8, 8)
    start = torch.randint(1, 6, (len(torn),))
    for k in range(2):
        torn[torch.arange(len(torn)), :, start + k] = 0
    return torn.view(-1, 64)


digits = load_digits().data / 16.0
train_x, test_x = train_test_split(digits, test_size=0.25, random_state=0)
train_x = torch.tensor(train_x, dtype=torch.float32)
test_x = torch.tensor(test_x, dtype=torch.float32)
torn_test = tear(test_x)
loader = DataLoader(TensorDataset(train_x), batch_size=BATCH, shuffle=True)

model = AutoEncoder()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=LR)


def test():
    model.eval()
    with torch.no_grad():
        restored = model(torn_test)
    model.train()
    return ((restored - test_x) ** 2).mean().item()


print("torn images: mse %.4f" % ((torn_test - test_x) ** 2).mean().item())
for epoch in range(1, EPOCHS + 1):
    running_loss = 0.0
    for (img,) in loader:
        optimizer.zero_grad()
        output = model(tear(img))
        loss = criterion(output, img)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * img.size(0)
    if epoch % 5 == 0:
        print(f"epoch {epoch:3d} train loss {running_loss / len(train_x):.4f} restored: mse {test():.4f}")
