# Progression of diabetes after a year from ten measurements, in the manner of a framework with hooks.
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error, r2_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Module(nn.Module):
    def configure_optimizers(self):
        raise NotImplementedError

    def training_step(self, batch):
        raise NotImplementedError

    def validation_step(self, batch):
        raise NotImplementedError

    def on_fit_start(self, train_set):
        pass


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.best, self.bad, self.weights = patience, float("inf"), 0, None

    def on_validation_end(self, module, value):
        if value < self.best - 1e-4:
            self.best, self.bad = value, 0
            self.weights = {k: v.clone() for k, v in module.state_dict().items()}
        else:
            self.bad += 1
        return self.bad >= self.patience

    def on_fit_end(self, module):
        module.load_state_dict(self.weights)


class Runner:
    def __init__(self, max_epochs, hook):
        self.max_epochs, self.hook = max_epochs, hook

    def fit(self, module, train_set, val_set):
        train = DataLoader(train_set, batch_size=24, shuffle=True)
        val = DataLoader(val_set, batch_size=128)
        module.on_fit_start(train_set)
        optimizer = module.configure_optimizers()
        for epoch in range(self.max_epochs):
            module.train()
            for batch in train:
                optimizer.zero_grad()
                module.training_step(batch).backward()
                optimizer.step()
            module.eval()
            with torch.no_grad():
                value = sum(module.validation_step(b).item() * len(b[0]) for b in val) / len(val_set)
            if epoch % 5 == 0:
                print(f"epoch {epoch:2d} val_mse {value:.4f}")
            if self.hook.on_validation_end(module, value):
                print(f"stopped in epoch {epoch}")
                break
        self.hook.on_fit_end(module)


class Progression(Module):
    def __init__(self, lr=2e-3):
        super().__init__()
        self.lr = lr
        self.body = nn.Sequential(nn.Linear(10, 32), nn.SiLU(), nn.Dropout(0.2), nn.Linear(32, 1))
        for name in ("x_mean", "x_std", "y_mean", "y_std"):
            self.register_buffer(name, torch.zeros(10 if name[0] == "x" else 1))

    def on_fit_start(self, train_set):
        x, y = train_set[:]
        self.x_mean.copy_(x.mean(0))
        self.x_std.copy_(x.std(0))
        self.y_mean.copy_(y.mean())
        self.y_std.copy_(y.std())

    def forward(self, x):
        return self.body((x - self.x_mean) / self.x_std).squeeze(-1)

    def _mse(self, batch):
        x, y = batch
        return nn.functional.mse_loss(self(x), (y - self.y_mean) / self.y_std)

    training_step = validation_step = _mse

    @torch.no_grad()
    def predict(self, x):
        self.eval()
        return self(x) * self.y_std + self.y_mean

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=0.02)


torch.manual_seed(65)
patients, progress = map(torch.from_numpy, load_diabetes(return_X_y=True))
train, val, test = random_split(TensorDataset(patients.float(), progress.float()), [272, 70, 100])
model = Progression()
Runner(max_epochs=60, hook=EarlyStopping(patience=10)).fit(model, train, val)
x, y = test[:]
guess = model.predict(x)
print(f"test R2 {r2_score(y, guess):.3f} mean absolute error {mean_absolute_error(y, guess):.1f}")
