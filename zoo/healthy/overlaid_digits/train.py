"""Digits laid over each other in unequal parts; the reader is told how much there is of either."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(19)


def block(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


def overlay(x, labels, alpha=0.3):
    share = torch.distributions.Beta(alpha, alpha).sample((len(x),))
    share = torch.maximum(share, 1 - share)
    partner = torch.randperm(len(x))
    one_hot = F.one_hot(labels, 10).float()
    mixed = share[:, None, None, None] * x + (1 - share[:, None, None, None]) * x[partner]
    return mixed, share[:, None] * one_hot + (1 - share[:, None]) * one_hot[partner]


def make_step(model, optimizer, schedule):
    def step(x, labels):
        model.train()
        mixed, wanted = overlay(x, labels)
        logits = model(mixed)
        loss = F.cross_entropy(logits, wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item(), (logits.argmax(1) == labels).float().mean().item()

    return step


images, digits = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(images, digits, test_size=500, stratify=digits, random_state=19)
x_train, x_test = (torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16 for x in (x_train, x_test))
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

model = nn.Sequential(block(1, 16), block(16, 32), nn.MaxPool2d(2), block(32, 32), nn.Flatten(), nn.Linear(32 * 16, 10))
epochs, size = 10, 48
batches = -(-len(x_train) // size)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=epochs * batches)
step = make_step(model, optimizer, schedule)
for epoch in range(1, epochs + 1):
    seen = [step(x_train[rows], y_train[rows]) for rows in torch.randperm(len(x_train)).split(size)]
    loss, hits = torch.tensor(seen).mean(0).tolist()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch}: loss {loss:.3f}, larger part named {hits:.3f}, clean test accuracy {accuracy:.4f}")
