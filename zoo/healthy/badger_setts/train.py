"""Predict active badger setts (about 4 % of survey squares) from habitat measurements."""
import numpy as np
import torch
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve
from sklearn.model_selection import train_test_split
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

SEED = 29
rng = np.random.default_rng(SEED)
torch.manual_seed(SEED)

n = 9000
slope = rng.gamma(2.0, 6.0, n)
sand = rng.beta(2, 3, n)
woodland = rng.exponential(400, n)
road = rng.exponential(900, n)
pasture = rng.beta(2, 2, n)
rain = rng.normal(950, 160, n)
noise = rng.normal(size=(n, 4))
score = (2.2 * np.exp(-((slope - 14) / 7) ** 2) + 3.0 * sand * (woodland < 300) + 1.6 * pasture
         + 1.0 * np.log1p(road / 300) - 6.3)
y = rng.binomial(1, 1 / (1 + np.exp(-2.2 * score)))
x = np.column_stack([slope, sand, np.log1p(woodland), np.log1p(road), pasture, rain, noise])

x_dev, x_test, y_dev, y_test = train_test_split(x, y, test_size=0.25, stratify=y, random_state=SEED)
x_train, x_val, y_train, y_val = train_test_split(x_dev, y_dev, test_size=0.2, stratify=y_dev, random_state=SEED)
centre, spread = x_train.mean(0), x_train.std(0)


def tensorize(a):
    return torch.tensor((a - centre) / spread, dtype=torch.float32)


train_set = TensorDataset(tensorize(x_train), torch.tensor(y_train, dtype=torch.float32))
class_count = np.bincount(y_train)
sampler = WeightedRandomSampler(1.0 / class_count[y_train], num_samples=len(y_train), replacement=True)
loader = DataLoader(train_set, batch_size=128, sampler=sampler, drop_last=True)
print(f"positives: train {y_train.mean():.3f}, test {y_test.mean():.3f}")

model = nn.Sequential(
    nn.Linear(x.shape[1], 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3),
    nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3),
    nn.Linear(32, 1), nn.Flatten(0),
)
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98), use_buffers=True)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
EPOCHS = 25
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)
prior_shift = float(np.log(class_count[1] / class_count[0]))


@torch.no_grad()
def probabilities(inputs):
    """Undo the 50:50 resampling so that the output is a probability under the real rate."""
    ema.eval()
    return torch.sigmoid(ema(tensorize(inputs)) + prior_shift).numpy()


for epoch in range(EPOCHS):
    model.train()
    total = 0.0
    for xb, yb in loader:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update_parameters(model)
        total += loss.item()
    scheduler.step()
    if epoch % 4 == 0 or epoch == EPOCHS - 1:
        ap = average_precision_score(y_val, probabilities(x_val))
        print(f"epoch {epoch:2d}  balanced loss {total / len(loader):.4f}  val average precision {ap:.3f}")

precision, recall, thresholds = precision_recall_curve(y_val, probabilities(x_val))
f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
threshold = thresholds[f1[:-1].argmax()]
p_test = probabilities(x_test)
print(f"mean predicted rate {p_test.mean():.3f} against {y_test.mean():.3f}")
print(f"test average precision {average_precision_score(y_test, p_test):.3f} (random {y_test.mean():.3f}), "
      f"F1 {f1_score(y_test, p_test >= threshold):.3f}")
