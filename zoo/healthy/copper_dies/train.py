"""Three-bit weights for a coin-die reader: float training, then straight-through quantized fine-tuning."""
import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(26)
BITS = 3
QMAX = 2 ** (BITS - 1) - 1


class RoundThrough(torch.autograd.Function):
    """Round and clip to signed integers; pass the gradient where the value is inside the range."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return v.round().clamp(-QMAX, QMAX)

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad * (v.abs() <= QMAX + 0.5)


def row_scale(w):
    return w.detach().abs().amax(dim=tuple(range(1, w.ndim)), keepdim=True).clamp(min=1e-8) / QMAX


def quantize(w):
    scale = row_scale(w)
    return RoundThrough.apply(w / scale) * scale


class QConv(nn.Conv2d):
    active = False

    def forward(self, x):
        w = quantize(self.weight) if self.active else self.weight
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


class QLinear(nn.Linear):
    active = False

    def forward(self, x):
        w = quantize(self.weight) if self.active else self.weight
        return F.linear(x, w, self.bias)


def set_quantized(model, flag):
    for m in model.modules():
        if isinstance(m, (QConv, QLinear)):
            m.active = flag


def load():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(y)
    dev, test = train_test_split(range(len(y)), test_size=0.25, stratify=y, random_state=26)
    train, val = train_test_split(dev, test_size=0.15, stratify=y[dev], random_state=26)
    x = (x - x[train].mean()) / x[train].std()
    return [TensorDataset(x[i], y[i]) for i in (train, val, test)]


def make_phase(model, train_set, val_set):
    loader = DataLoader(train_set, batch_size=32, shuffle=True)

    def evaluate(data=val_set):
        model.eval()
        with torch.no_grad():
            logits = model(data.tensors[0])
        return (F.cross_entropy(logits, data.tensors[1]).item(),
                (logits.argmax(1) == data.tensors[1]).float().mean().item())

    def phase(name, epochs, lr):
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
        for epoch in range(1, epochs + 1):
            model.train()
            total = 0.0
            for x, y in loader:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                total += loss.item() * len(y)
            if epoch % 3 == 0:
                v_loss, v_acc = evaluate()
                print(f"{name} {epoch:2d}  train {total / len(train_set):.4f}  val {v_loss:.4f}  acc {v_acc:.3f}")

    return phase, evaluate


train_set, val_set, test_set = load()
model = nn.Sequential(
    QConv(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    QConv(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), QLinear(96, 32), nn.ReLU(), nn.Dropout(0.1), QLinear(32, 10))
phase, evaluate = make_phase(model, train_set, val_set)

phase("float", 15, 3e-3)
float_acc = evaluate(test_set)[1]
set_quantized(model, True)
rounded_acc = evaluate(test_set)[1]
phase("3-bit", 12, 1e-3)

packed = copy.deepcopy(model)
set_quantized(packed, False)
with torch.no_grad():
    for m in packed.modules():
        if isinstance(m, (QConv, QLinear)):
            scale = row_scale(m.weight)
            integers = (m.weight / scale).round().clamp(-QMAX, QMAX).to(torch.int8)
            m.weight.copy_(integers * scale)
    packed.eval()
    x, y = test_set.tensors
    packed_acc = (packed(x).argmax(1) == y).float().mean().item()
print(f"test accuracy: float {float_acc:.4f}, simply rounded {rounded_acc:.4f}, "
      f"fine-tuned {BITS}-bit integers {packed_acc:.4f}")
