"""Quantization-aware training of a tiny classifier, taught by a float model."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F


class RoundSTE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


def quantize(w, bits):
    top = 2 ** (bits - 1) - 1
    step = w.detach().abs().amax(dim=tuple(range(1, w.ndim)), keepdim=True) / top
    return RoundSTE.apply(w / step) * step


def quantize_activation(x, bits=4, ceiling=4.0):
    levels = 2**bits - 1
    return RoundSTE.apply(x.clamp(0, ceiling) * levels / ceiling) * ceiling / levels


class QConv(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x, quantize(self.weight, 3), self.bias, self.stride, self.padding)


class QLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, quantize(self.weight, 3), self.bias)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = QConv(1, 8, 3, padding=1), QConv(8, 16, 3, stride=2, padding=1)
        self.out = QLinear(64, 10)

    def forward(self, x):
        x = quantize_activation(self.c1(x))
        x = quantize_activation(self.c2(x))
        return self.out(F.max_pool2d(x, 2).flatten(1))


class Teacher(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.1),
            nn.Conv2d(32, 48, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(48 * 16, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10),
        )


class Distiller:
    def __init__(self, temperature=3.0, hard=0.3):
        d = load_digits()
        parts = train_test_split(d.images, d.target, test_size=0.25, random_state=6, stratify=d.target)
        self.x, self.xt = (torch.tensor(p, dtype=torch.float32)[:, None] / 16 for p in parts[:2])
        self.y, self.yt = (torch.tensor(p) for p in parts[2:])
        self.T, self.hard = temperature, hard

    def batches(self, size=64):
        for idx in torch.randperm(len(self.x)).split(size):
            yield self.x[idx], self.y[idx]

    def test(self, model):
        model.eval()
        with torch.no_grad():
            return (model(self.xt).argmax(1) == self.yt).float().mean().item()

    def train_teacher(self, epochs=8):
        self.teacher = Teacher()
        opt = torch.optim.Adam(self.teacher.parameters(), lr=2e-3)
        for _ in range(epochs):
            self.teacher.train()
            for x, y in self.batches():
                loss = F.cross_entropy(self.teacher(x), y)
                opt.zero_grad()
                loss.backward()
                opt.step()
        print(f"teacher accuracy {self.test(self.teacher):.3f}")
        self.teacher.eval()
        for p in self.teacher.parameters():
            p.requires_grad_(False)

    def train_student(self, epochs=25):
        student = Student()
        opt = torch.optim.SGD(student.parameters(), lr=0.03, momentum=0.9)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.03, epochs=epochs, steps_per_epoch=-(-len(self.x) // 64))
        for epoch in range(epochs):
            student.train()
            for x, y in self.batches():
                with torch.no_grad():
                    soft = F.log_softmax(self.teacher(x) / self.T, dim=1)
                logits = student(x)
                kd = F.kl_div(F.log_softmax(logits / self.T, dim=1), soft, reduction="batchmean", log_target=True)
                loss = self.hard * F.cross_entropy(logits, y) + (1 - self.hard) * self.T**2 * kd
                opt.zero_grad()
                loss.backward()
                opt.step()
                sched.step()
            if epoch % 5 == 4:
                print(f"epoch {epoch + 1} loss {loss.item():.3f} 3-bit accuracy {self.test(student):.3f}")


if __name__ == "__main__":
    torch.manual_seed(6)
    run = Distiller()
    run.train_teacher()
    run.train_student()
