"""Feedback alignment (Lillicrap et al., 2016): errors travel back through fixed random weights."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(29)


class RandomFeedback(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, feedback):
        ctx.save_for_backward(x, feedback)
        return x @ weight.t() + bias

    @staticmethod
    def backward(ctx, grad):
        x, feedback = ctx.saved_tensors
        return grad @ feedback, grad.t() @ x, grad.sum(0), None


class FeedbackLinear(nn.Linear):
    def __init__(self, cin, cout):
        super().__init__(cin, cout)
        nn.init.xavier_normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.register_buffer("feedback", nn.init.xavier_normal_(torch.empty(cout, cin)))

    def forward(self, x):
        return RandomFeedback.apply(x, self.weight, self.bias, self.feedback)

    def angle(self):
        cos = nn.functional.cosine_similarity(self.weight.detach().flatten(), self.feedback.flatten(), dim=0)
        return torch.rad2deg(torch.arccos(cos)).item()


digits = load_digits()
x_train, x_test, y_train, y_test = train_test_split(
    torch.tensor(digits.data, dtype=torch.float32), torch.tensor(digits.target),
    test_size=0.3, stratify=digits.target, random_state=29)
mean, std = x_train.mean(0), x_train.std(0).clamp(min=0.5)
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

model = nn.Sequential(FeedbackLinear(64, 128), nn.Tanh(),
                      FeedbackLinear(128, 64), nn.Tanh(),
                      FeedbackLinear(64, 10))
layers = [m for m in model if isinstance(m, FeedbackLinear)]
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
epochs, batch = 50, 32
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
criterion = nn.CrossEntropyLoss()

for epoch in range(epochs):
    model.train()
    running = 0.0
    for idx in torch.randperm(len(x_train)).split(batch):
        optimizer.zero_grad()
        loss = criterion(model(x_train[idx]), y_train[idx])
        loss.backward()
        optimizer.step()
        running += loss.item() * len(idx)
    scheduler.step()
    if epoch % 10 == 0 or epoch == epochs - 1:
        angles = "  ".join(f"{layer.angle():.0f}" for layer in layers[1:])
        print(f"epoch {epoch:2d}  loss {running / len(x_train):.4f}  angle to the feedback (degrees) {angles}")

model.eval()
with torch.no_grad():
    accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
print(f"test accuracy {accuracy:.3f} (chance 0.100)")
