"""Numbers that a script prints beside a name: its own measure of how well it goes."""

from __future__ import annotations

import re
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS

_HIGHER: Final = {
    "acc", "accuracy", "correct", "right", "precision", "recall", "f", "auc", "auroc", "auprc", "ap", "map", "iou",
    "miou", "dice", "r", "bleu", "rouge", "kappa", "mcc", "psnr", "ssim", "hit", "hits", "ndcg", "mrr", "em", "knn",
    "likelihood", "elbo", "success", "found", "solved", "bacc", "sensitivity", "specificity",
    "macro", "explained", "skill", "corr", "correlation", "pearson", "spearman", "concordance", "jaccard", "nmi", "ari",
    "purity", "agreement", "corrected", "recovered", "recognized", "recognised", "identified",
}  # fmt: skip
"""Words of measures of which more is better; digits are left out: F1, R2."""
_OF_LIKELIHOODS: Final = {"likelihood", "elbo"}
_OF_SHARES: Final = {
    "acc", "accuracy", "correct", "right", "precision", "recall", "f", "auc", "auroc", "iou", "miou", "dice", "hit",
    "hits", "em", "knn", "bacc", "sensitivity", "specificity", "corrected", "recovered", "recognized", "recognised",
    "identified",
}  # fmt: skip
"""Words of measures that are written as a share or in percent."""
_ONE_AT_BEST: Final = {
    "r", "explained", "skill", "corr", "correlation", "pearson", "spearman", "kappa", "mcc", "ari", "agreement",
}  # fmt: skip
_RETURNS: Final = {
    "return", "returns", "reward", "rewards", "score", "success", "solved", "found", "wins", "won", "reached",
    "reaches", "arrive", "arrives", "arrived", "arrivals",
}  # fmt: skip
"""Words of what an agent gets, or of how often it gets there."""
_LOWER: Final = {
    "loss", "error", "err", "errors", "mse", "rmse", "mae", "mape", "nll", "ppl", "perplexity", "wer", "cer", "ece",
    "bce", "ce", "bpc", "deviance", "distance", "fid", "smape", "rmsle", "kid", "mmd", "emd", "brier", "crps",
    "pinball", "regret", "mistakes", "misclassified", "nrmse", "eer",
}  # fmt: skip
_AWAY: Final = re.compile(r"\b(off|wrong|out|missed) by\b")
"""Words of how far answers lie from what was right: ``off by 3.1 %``."""
_OF_SAMPLES: Final = {"distance", "fid", "kid", "mmd", "emd"}
"""Words of how far what a model draws lies from the data."""
_OF_CLASSES: Final = {"balanced", "bal", "bacc", "macro", "f", "mcc", "kappa"}
"""Words of measures in which each class counts alike, or the rare one by itself."""
_OF_THE_RARE: Final = {"recall", "sensitivity"}
_UNSEEN: Final = {
    "test", "val", "valid", "validation", "held", "heldout", "holdout", "out", "eval", "evaluation", "dev", "unseen",
    "tst", "oos", "greedy", "new",
}  # fmt: skip
_TRAINED: Final = {"train", "training", "tr", "trn", "fit", "batch", "running"}
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_WORD: Final = re.compile(r"(?:(?<!\S)-)?[A-Za-z]+\d*")
"""With the minus of a measure that is negated: ``-elbo``."""
_PLACE: Final = re.compile(r"\b(at|top|k)[ =_-]?(\d+)(?=\s*[:=]\s+[-+.]?\d|\s*=\s*\d*\.|\s+\d*\.\d)", re.IGNORECASE)
"""Of a measure of the first so many: ``hit rate at 10: 0.25``."""
_TOTAL: Final = re.compile(r"\s*(?:/|out of\b|of\b)\s*(\d+(?:\.\d*)?)(?![\w.])")
"""What stands behind a number that is a count of something: ``376/397``, ``376 of 397``."""
_LONGEST_NAME: Final = 60


@frozen
class PrintedNumber:
    """One number in the script's output."""

    step: int
    name: str
    """The words before it in its line, in lower case: ``test acc``."""
    value: float
    evaluated: bool = False
    """A model was called without gradients since the last number of this name."""


def numbers_in(line: str) -> list[tuple[str, float]]:
    """The numbers of a line that have words before them, each with these words.

    Of a measure that is written as a count the share: ``accuracy 376/397`` is 0.947.
    """
    line = with_places(line)
    found, end = [], 0
    for match in _NUMBER.finditer(line):
        if match.start() < end:
            continue
        before = line[end : match.start()]
        if before[-1:].isalpha() or before.endswith(("_", "@")):
            continue  # a part of a name: F1, recall@5
        words = _WORD.findall(before.rpartition("|")[2])
        end = match.end()
        name = " ".join(words).lower()
        value, total = float(match.group()), _TOTAL.match(line, match.end())
        if total is not None and direction(name) and 0 <= value <= float(total[1]) > 0:
            value, end = value / float(total[1]), total.end()
        if name and len(name) <= _LONGEST_NAME:
            found.append((name, value))
    return found


def with_places(line: str) -> str:
    """The line with places as parts of their names: ``hit rate at10: 0.25``."""
    return _PLACE.sub(r"\1\2", line)


def _words(name: str) -> list[str]:
    return [word.rstrip("0123456789").lstrip("-") for word in name.split()]


def direction(name: str) -> int:
    """1: more is better; -1: less is better; 0: the name does not tell. The last word that tells decides."""
    for word, written in zip(reversed(_words(name)), reversed(name.split())):
        turned = -1 if written.startswith("-") else 1
        if word in _LOWER:
            return -turned
        if word in _HIGHER or word in _RETURNS:
            return turned
    return -1 if _AWAY.search(name) else 0


def contradicts_itself(name: str, value: float) -> bool:
    """It is called a likelihood or a bound of one, of which more is better, and is positive: as a rule the negative of
    it, a loss, whose minus the name leaves out (Cox's partial likelihood, an ELBO that is minimized).
    """
    return value > 0 and direction(name) > 0 and not _OF_LIKELIHOODS.isdisjoint(_words(name))


def is_return(name: str) -> bool:
    """What an agent got in its episodes."""
    return not _RETURNS.isdisjoint(_words(name))


def is_of_samples(name: str) -> bool:
    """How far what a model draws lies from the data."""
    return not _OF_SAMPLES.isdisjoint(_words(name))


def is_of_classes(name: str) -> bool:
    """A measure in which each class counts alike: balanced accuracy, F1, macro averages, kappa."""
    return direction(name) > 0 and not _OF_CLASSES.isdisjoint(_words(name))


def is_of_shares(name: str) -> bool:
    """A share of the answers, of 1 or of 100 percent, or another measure whose best value that is."""
    return direction(name) > 0 and not _OF_SHARES.isdisjoint(_words(name))


def is_one_at_best(name: str) -> bool:
    """A measure that may be negative and is 1 at best: R2, a correlation, a skill."""
    return direction(name) > 0 and not _ONE_AT_BEST.isdisjoint(_words(name))


def is_of_the_rare(name: str) -> bool:
    """How many examples of a class are found, whatever else is called that class, too."""
    return direction(name) > 0 and not _OF_THE_RARE.isdisjoint(_words(name))


def is_of_unseen(name: str) -> bool:
    """Its words say that it is of an evaluation."""
    return not _UNSEEN.isdisjoint(_words(name))


def is_of_training(name: str) -> bool:
    """Its words say that it is of what is trained on, and nothing else: ``train``."""
    words = set(_words(name))
    return bool(words) and words <= _TRAINED


_OF_LOSS: Final = {"loss", "nll", "ppl", "perplexity", "bce", "ce", "objective", "cost"}


def rank_as_evaluation(name: str, evaluated: bool) -> int:
    """How surely it is of an evaluation: 2 says so itself, 1 follows one and is no loss, 0 may be of the training."""
    words = set(_words(name))
    if not direction(name) or (words & _TRAINED and not words & _UNSEEN):
        return 0
    if words & _UNSEEN:
        return 2
    return int(evaluated and "loss" not in words)


def is_of_loss(name: str) -> bool:
    """It is a value of the loss function, by its words: another one with another loss."""
    return bool(set(_words(name)) & _OF_LOSS)


RECORDS.update({"PrintedNumber": PrintedNumber})
