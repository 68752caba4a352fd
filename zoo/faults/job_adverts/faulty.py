"""Two towers for a job board: candidates on one side, adverts on the other."""
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

SKILLS, BOILERPLATE, HOBBIES = 70, 60, 40


class Market:
    """Candidates tell their skills in their own words, adverts in others."""

    def __init__(self, seed):
        np.random.seed(seed)

    def pairs(self, n):
        cand, adv = [], []
        for _ in range(n):
            skills = np.random.choice(SKILLS, 4, replace=False)
            hobbies = SKILLS + np.random.choice(HOBBIES, 4, replace=False)
            boiler = SKILLS + np.random.choice(BOILERPLATE, 14, replace=False)
            cand.append(np.concatenate([skills, hobbies]))
            adv.append(np.random.permutation(np.concatenate([skills[:3], boiler])))
        return torch.tensor(np.array(cand)), torch.tensor(np.array(adv))


class Tower(nn.Module):
    def __init__(self, n_words, dim=32, out=24):
        super().__init__()
        self.bag = nn.EmbeddingBag(n_words, dim, mode="mean")
        self.mlp = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, out))

    def forward(self, words):
        return self.mlp(self.bag(words))


class Matcher(nn.Module):
    def __init__(self):
        super().__init__()
        self.candidates = Tower(SKILLS + HOBBIES)
        self.adverts = Tower(SKILLS + BOILERPLATE)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def embed_candidates(self, words):
        return F.normalize(self.candidates(words), dim=1)

    @torch.no_grad()
    def embed_adverts(self, words):
        # shared by the index builder and by the matcher
        chunks = [F.normalize(self.adverts(part), dim=1) for part in words.split(512)]
        return torch.cat(chunks)

    def forward(self, cand, adv):
        return self.log_scale.exp().clamp(max=60) * self.embed_candidates(cand) @ self.embed_adverts(adv).T


def symmetric_loss(logits):
    here = torch.arange(len(logits))
    return 0.5 * (F.cross_entropy(logits, here) + F.cross_entropy(logits.T, here))


class AdvertIndex:
    def __init__(self, model, adverts):
        self.model = model
        self.vectors = model.embed_adverts(adverts)

    @torch.no_grad()
    def search(self, cand, k):
        return (self.model.embed_candidates(cand) @ self.vectors.T).topk(k, dim=1).indices


def recall_at(model, cand, adv, k):
    model.eval()
    found = AdvertIndex(model, adv).search(cand, k)
    return (found == torch.arange(len(cand))[:, None]).any(dim=1).float().mean().item()


def main(epochs=30, batch=128, lr=6e-3):
    market = Market(14)
    torch.manual_seed(14)
    cand, adv = market.pairs(5000)
    cand_test, adv_test = market.pairs(400)

    model = Matcher()
    n_params = sum(p.numel() for p in model.parameters())
    print(f"{n_params} parameters")
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        model.train()
        losses = []
        for idx in torch.randperm(len(cand)).split(batch):
            loss = symmetric_loss(model(cand[idx], adv[idx]))
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        sched.step()
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1} loss {np.mean(losses):.3f} recall@5 {recall_at(model, cand_test, adv_test, 5):.3f}")
    print(f"final recall@5 {recall_at(model, cand_test, adv_test, 5):.4f}")


if __name__ == "__main__":
    main()
