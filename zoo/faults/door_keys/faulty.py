"""How many teeth has the key? 16x16 pictures, a small CNN with batch normalisation."""
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def draw_key(teeth):
    img = np.zeros((16, 16), dtype=np.float32)
    top = random.randint(3, 6)
    img[top:top + 2, 1:15] = 1.0
    for col in random.sample(range(2, 15, 2), teeth):
        img[top + 2:top + 2 + random.randint(2, 5), col] = 1.0
    img *= random.uniform(0.6, 1.0)
    return img + np.random.normal(0, 0.1, img.shape).astype(np.float32)


def make_set(n):
    labels = np.random.randint(0, 5, n)
    images = np.stack([draw_key(int(k) + 1) for k in labels])
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels)


class KeyNet(nn.Module):
    def __init__(self, n_classes=5):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2))
        self.fc = nn.Linear(24 * 4 * 4, n_classes)

    def forward(self, x):
        out = self.layer2(self.layer1(x))
        return self.fc(out.reshape(out.size(0), -1))


def predict(model, image):
    """Predict the number of teeth of one picture."""
    with torch.no_grad():
        logits = model(image.unsqueeze(0))
    return logits.argmax(dim=1).item()


x_train, y_train = make_set(1200)
x_test, y_test = make_set(300)

model = KeyNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
num_epochs, batch_size = 14, 40

for epoch in range(num_epochs):
    perm = torch.randperm(len(x_train))
    epoch_loss, correct = 0.0, 0
    for i in range(0, len(perm), batch_size):
        idx = perm[i:i + batch_size]
        outputs = model(x_train[idx])
        loss = criterion(outputs, y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(idx)
        correct += (outputs.argmax(1) == y_train[idx]).sum().item()
    print("Epoch [{}/{}], Loss: {:.4f}, Train accuracy: {:.3f}".format(
        epoch + 1, num_epochs, epoch_loss / len(perm), correct / len(perm)))

# Test the model
predictions = [predict(model, image) for image in x_test]
counts = np.bincount(predictions, minlength=5)
print("predicted per class:", counts.tolist(), "true:", np.bincount(y_test.numpy(), minlength=5).tolist())
hits = sum(p == t for p, t in zip(predictions, y_test.tolist()))
print("Test accuracy of the model: {:.4f}".format(hits / len(y_test)))
