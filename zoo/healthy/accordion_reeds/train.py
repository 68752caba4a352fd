"""Recognise accordion reed faults from 12 labelled tones per class, after masked pretraining on unlabelled tones."""
import math

import torch
from torch import nn
from torch.nn import functional as F

LENGTH, CLASSES, SHOTS = 128, 5, 12
PARTIALS = torch.tensor([[1.0, 0.6, 0.4, 0.2, 0.1],    # sound
                         [1.0, 0.1, 0.6, 0.1, 0.4],    # leaking valve
                         [0.4, 1.0, 0.2, 0.6, 0.2],    # loose rivet
                         [1.0, 0.4, 0.1, 0.1, 0.6],    # rust
                         [0.6, 0.2, 1.0, 0.2, 0.1]])   # dust under the tongue


def record(n, gen):
    label = torch.randint(0, CLASSES, (n,), generator=gen)
    pitch = 2.5 + 2.0 * torch.rand(n, 1, 1, generator=gen)
    t = torch.linspace(0, 1, LENGTH).view(1, 1, -1)
    order = torch.arange(1, 6).view(1, 5, 1)
    phase = 2 * math.pi * torch.rand(n, 5, 1, generator=gen)
    spread = torch.exp(0.15 * torch.randn(n, 5, generator=gen))
    tone = ((PARTIALS[label] * spread).unsqueeze(2) * torch.sin(2 * math.pi * order * pitch * t + phase)).sum(1)
    tone = tone * torch.exp(0.3 * torch.randn(n, 1, generator=gen)) + 0.2 * torch.randn(n, LENGTH, generator=gen)
    tone = tone - tone.mean(1, keepdim=True)
    return (tone / tone.std(1, keepdim=True)).unsqueeze(1), label


def block(cin, cout, stride):
    return nn.Sequential(nn.Conv1d(cin, cout, 9, stride=stride, padding=4), nn.GroupNorm(4, cout), nn.GELU())


def make_encoder():
    return nn.Sequential(block(2, 32, 2), block(32, 48, 2), block(48, 64, 1))


def with_mask(x, keep):
    """Second channel tells which samples are visible."""
    return torch.cat([x * keep, keep], 1)


def pretrain(encoder, tones, epochs=10, batch=64):
    decoder = nn.Sequential(nn.ConvTranspose1d(64, 32, 4, stride=2, padding=1), nn.GELU(),
                            nn.ConvTranspose1d(32, 1, 4, stride=2, padding=1))
    params = list(encoder.parameters()) + list(decoder.parameters())
    opt = torch.optim.AdamW(params, lr=2e-3, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 2e-3, total_steps=epochs * (len(tones) // batch))
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(tones))[:len(tones) // batch * batch]
        for idx in order.split(batch):
            x = tones[idx]
            hidden = F.interpolate((torch.rand(batch, 1, LENGTH // 8) < 0.4).float(), scale_factor=8)
            out = decoder(encoder(with_mask(x, 1 - hidden)))
            loss = ((out - x) ** 2 * hidden).sum() / hidden.sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f"pretrain {epoch:2d}  masked error {total / (len(tones) // batch):.3f}")


class Tap:
    """Keeps what one layer last put out, graph included."""

    def __init__(self, layer):
        self.value = None
        self.handle = layer.register_forward_hook(self._keep)

    def _keep(self, module, inputs, output):
        self.value = output

    def pooled(self):
        return torch.cat([self.value.mean(2), self.value.std(2)], 1)


def run_phase(encoder, tap, head, x, y, opt, epochs, batch=20):
    encoder.train()
    head.train()
    for _ in range(epochs):
        for idx in torch.randperm(len(x)).split(batch):
            encoder(with_mask(x[idx], torch.ones_like(x[idx])))
            loss = F.cross_entropy(head(tap.pooled()), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
    return loss.item()


@torch.no_grad()
def accuracy(encoder, tap, head, x, y):
    encoder.eval()
    head.eval()
    encoder(with_mask(x, torch.ones_like(x)))
    return (head(tap.pooled()).argmax(1) == y).float().mean().item()


def fine_tune(encoder, few_x, few_y, test_x, test_y):
    tap = Tap(encoder[2])
    head = nn.Sequential(nn.LayerNorm(128), nn.Dropout(0.2), nn.Linear(128, CLASSES))
    encoder.requires_grad_(False)
    opt = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=0.01)
    loss = run_phase(encoder, tap, head, few_x, few_y, opt, epochs=60)
    probe = accuracy(encoder, tap, head, test_x, test_y)
    print(f"head alone     loss {loss:.3f}  test {probe:.3f}")
    for top, rate in ((2, 2e-4), (1, 1e-4)):
        encoder[top].requires_grad_(True)
        opt.add_param_group({"params": list(encoder[top].parameters()), "lr": rate})
        opt.param_groups[0]["lr"] = 1e-3
        loss = run_phase(encoder, tap, head, few_x, few_y, opt, epochs=40)
        print(f"opened block {top}  loss {loss:.3f}  test {accuracy(encoder, tap, head, test_x, test_y):.3f}")
    final = accuracy(encoder, tap, head, test_x, test_y)
    tap.handle.remove()
    return final


def main():
    torch.manual_seed(33)
    gen = torch.Generator().manual_seed(33)
    unlabelled, _ = record(3000, gen)
    pool_x, pool_y = record(600, gen)
    test_x, test_y = record(1000, gen)
    few = torch.cat([(pool_y == c).nonzero().squeeze(1)[:SHOTS] for c in range(CLASSES)])
    encoder = make_encoder()
    pretrain(encoder, unlabelled)
    final = fine_tune(encoder, pool_x[few], pool_y[few], test_x, test_y)
    print(f"test accuracy {final:.3f} from {SHOTS} labels per class (chance {1 / CLASSES:.2f})")


if __name__ == "__main__":
    main()
