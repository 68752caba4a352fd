import logging
from dataclasses import dataclass, field

import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("chargeback")

MERCHANTS, COUNTRIES = 40, 12


@dataclass
class Options:
    epochs: int = 8
    batch_size: int = 256
    lr: float = 3e-3
    weight_decay: float = 1e-2
    ema_decay: float = 0.98
    hidden: list = field(default_factory=lambda: [64, 32])
    seed: int = 13


def make_payments(n, generator):
    """About 6 % of the payments come back; risk depends on merchant, country and on amount times haste."""
    table = torch.Generator().manual_seed(99)
    merchant_risk = torch.randn(MERCHANTS, generator=table)
    country_risk = 0.8 * torch.randn(COUNTRIES, generator=table)
    merchant = torch.randint(MERCHANTS, (n,), generator=generator)
    country = torch.randint(COUNTRIES, (n,), generator=generator)
    amount = torch.exp(3 + torch.randn(n, generator=generator))
    minutes = torch.distributions.Exponential(1 / 30.0).icdf(torch.rand(n, generator=generator))
    age = torch.rand(n, generator=generator) * 2000
    logit = (-7.2 + 1.6 * merchant_risk[merchant] + 1.6 * country_risk[country] + 1.5 * (amount.log() - 3)
             + 2.0 * (minutes < 10) * (amount > 20) - 0.0012 * (age - 1000))
    label = (torch.rand(n, generator=generator) < torch.sigmoid(1.5 * logit + 2)).float()
    numeric = torch.stack([amount.log(), minutes.log1p(), age], dim=1)
    return numeric, torch.stack([merchant, country], dim=1), label


class RiskNet(nn.Module):
    def __init__(self, mean, std, hidden):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.merchant = nn.Embedding(MERCHANTS, 8)
        self.country = nn.Embedding(COUNTRIES, 4)
        sizes = [3 + 8 + 4, *hidden]
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(0.1)]
        self.mlp = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, numeric, category):
        z = (numeric - self.mean) / self.std
        e = torch.cat([z, self.merchant(category[:, 0]), self.country(category[:, 1])], dim=1)
        return self.mlp(e).squeeze(-1)


class Trainer:
    def __init__(self, options, model, train_data, val_data):
        self.o, self.model = options, model
        label = train_data.tensors[2]
        share = label.mean()
        weights = torch.where(label == 1, 0.25 / share, 0.75 / (1 - share))   # one in four per batch
        sampler = WeightedRandomSampler(weights.double(), num_samples=len(label), replacement=True)
        self.train_loader = DataLoader(train_data, options.batch_size, sampler=sampler, drop_last=True)
        self.val_loader = DataLoader(val_data, 2000)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)
        self.scheduler = torch.optim.lr_scheduler.PolynomialLR(
            self.optimizer, total_iters=options.epochs * len(self.train_loader), power=1.0)
        self.ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(options.ema_decay), use_buffers=False)
        self.criterion = nn.BCEWithLogitsLoss()

    def fit(self):
        for epoch in range(1, self.o.epochs + 1):
            self.model.train()
            mean_loss = torch.zeros(())
            for numeric, category, label in self.train_loader:
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    logits = self.model(numeric, category)
                loss = self.criterion(logits.float(), label)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                self.ema.update_parameters(self.model)
                mean_loss += loss.detach() / len(self.train_loader)
            ap, auc = self.validate()
            log.info("epoch %d  loss %.4f  val AP %.3f  val AUC %.3f", epoch, mean_loss, ap, auc)
        return self.validate()

    @torch.inference_mode()
    def validate(self):
        self.ema.eval()
        scores, labels = [], []
        for numeric, category, label in self.val_loader:
            scores.append(self.ema(numeric, category))
            labels.append(label)
        scores, labels = torch.cat(scores).numpy(), torch.cat(labels).numpy()
        return average_precision_score(labels, scores), roc_auc_score(labels, scores)


def main():
    options = Options()
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    train_data = TensorDataset(*make_payments(24000, generator))
    val_data = TensorDataset(*make_payments(8000, generator))
    numeric = train_data.tensors[0]
    model = RiskNet(numeric.mean(0), numeric.std(0), options.hidden)
    ap, auc = Trainer(options, model, train_data, val_data).fit()
    base = val_data.tensors[2].mean().item()
    log.info("final: average precision %.3f (base rate %.3f), AUC %.3f", ap, base, auc)


if __name__ == "__main__":
    main()
