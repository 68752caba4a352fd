"""Match product photos (as descriptors) with their bags of words, CLIP style."""
import torch
import torch.nn as nn
import torch.nn.functional as F

N_TOPICS, D_IMG, D_TXT = 10, 48, 60


class World:
    def __init__(self, gen):
        self.gen = gen
        self.to_img = torch.randn(N_TOPICS, D_IMG, generator=gen) / N_TOPICS**0.5
        self.to_txt = torch.randn(N_TOPICS, D_TXT, generator=gen) / N_TOPICS**0.5

    def products(self, n):
        z = torch.randn(n, N_TOPICS, generator=self.gen)
        img = torch.tanh(z @ self.to_img) + 0.2 * torch.randn(n, D_IMG, generator=self.gen)
        txt = torch.poisson(torch.exp(0.9 * (z @ self.to_txt)), generator=self.gen)
        return img, torch.log1p(txt)


class TwoTowers(nn.Module):
    def __init__(self, hidden=64, dim=24):
        super().__init__()
        self.img_in = nn.Linear(D_IMG, hidden)
        self.txt_in = nn.Linear(D_TXT, hidden)
        self.img_norm = nn.BatchNorm1d(hidden)
        self.txt_norm = nn.BatchNorm1d(hidden)
        self.img_proj = nn.Linear(hidden, dim)
        self.txt_proj = nn.Linear(hidden, dim)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def encode_image(self, img):
        h = F.relu(self.img_norm(self.img_in(img)))
        return F.normalize(self.img_proj(h), dim=1)

    def encode_text(self, txt):
        h = F.relu(self.txt_norm(self.txt_in(txt)))
        return F.normalize(self.txt_proj(h), dim=1)

    def forward(self, img, txt):
        return self.log_scale.clamp(max=4.6).exp() * self.encode_image(img) @ self.encode_text(txt).T


def clip_loss(logits):
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@torch.no_grad()
def recall_at_1(model, img, txt):
    model.eval()
    sims = model.encode_image(img) @ model.encode_text(txt).T
    model.train()
    return (sims.argmax(1) == torch.arange(len(img))).float().mean().item()


def main():
    torch.manual_seed(23)
    world = World(torch.Generator().manual_seed(3))
    img, txt = world.products(3200)
    img_val, txt_val = world.products(200)
    model = TwoTowers()
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    for epoch in range(1, 11):
        total = 0.0
        for rows in torch.randperm(len(img)).split(64):
            loss = clip_loss(model(img[rows], txt[rows]))
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() / 50
        print(f"epoch {epoch} loss {total:.3f} recall@1 {recall_at_1(model, img_val, txt_val):.3f}")


if __name__ == "__main__":
    main()
