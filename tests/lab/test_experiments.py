"""Experiments and their order, with trainings that are only numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from flightcheck.checks.base import Finding, Verdict
from flightcheck.diagnosis import diagnose
from flightcheck.investigation import experiment
from flightcheck.lab.agenda import adjusted, investigate, untestable
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.statistics import ALPHA
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.experiments import NO_TIME, Experiment, TrialInfo
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.records import ModuleInfo, OptimizerInfo, Plan, RootInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ERROR, LEARNING_RATE, LOSS
from flightcheck.recording.states import SecondMoments, StoredUpdate
from flightcheck.testing import run_of
from tests.verdicts import info_of

Ends = dict[str, float]


class Numbers:
    """Trainings whose loss falls to a level that their patches decide."""

    def __init__(self, ends: Ends | None = None, control: float = 2.0, failures: dict[str, str] | None = None) -> None:
        self.ends, self.control, self.failures = ends or {}, control, failures or {}
        self.run_: list[Trial] = []
        self.more: Callable[[Trial], list[Any]] = lambda trial: []
        self.ended = "stopped"
        self.seconds = 0.0

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        return [self._one(t) for t in trials]

    def close(self) -> None:
        pass

    def _one(self, trial: Trial) -> Trained:
        self.run_.append(trial)
        text = " + ".join(map(str, trial.patches))
        if text in self.failures:
            return Trained(trial, None, self.failures[text], self.seconds)
        end = self.ends.get(text, self.control) if trial.patches else self.control
        noise = 0.002 * np.random.default_rng(trial.seed).normal(size=trial.steps)
        values = end + (2.3 - end) * np.linspace(1, 0, trial.steps) ** 4 + noise
        info = TrialInfo([str(p) for p in trial.patches], trial.seed, {str(p): 1 for p in trial.patches})
        series = {LOSS: list(values), ERROR: list(values)}
        run = run_of(info, *self.more(trial), series=series, ended=self.ended)
        return Trained.of(trial, run, self.seconds)

    @property
    def asked(self) -> list[str]:
        return [str(t) for t in self.run_]


DROP = [Patch("drop-module", "softmax")]


def tried(runner: Numbers, seconds: float = 60.0, **how: Any) -> Experiment:
    return Lab(runner, seconds).try_patch("L03", DROP, **how)


def test_three_seeds_confirm() -> None:
    runner = Numbers({"drop-module:softmax": 0.5})
    e = tried(runner)
    assert (e.status, e.metric, e.seeds, e.steps, e.question) == ("confirmed", "error", 3, 60, "L03")
    assert len(e.befores) == len(e.afters) == len(e.starts) == len(e.controls) == 3
    assert runner.asked[:2] == ["unchanged, seed 0", "drop-module:softmax, seed 0"]
    assert len(runner.asked) == 6


def test_two_seeds_refute_and_no_third_is_run() -> None:
    runner = Numbers({"drop-module:softmax": 2.0})
    assert (tried(runner).status, len(runner.asked)) == ("refuted", 4)


def test_a_confirmation_out_of_reach_is_given_up_where_nothing_is_to_be_refuted() -> None:
    runner = Numbers({"drop-module:softmax": 2.0})
    e = tried(runner, refute=False)
    assert (e.status, len(runner.asked)) == ("inconclusive", 2)


class Seeds(Numbers):
    """What a patch achieves depends on the seed."""

    def __init__(self, *ends: float, patch: str = "drop-module:softmax", steps: int = 0) -> None:
        super().__init__()
        self.each, self.patch, self.clear_from = ends, patch, steps

    def _one(self, trial: Trial) -> Trained:
        clear = 0 < self.clear_from <= trial.steps
        self.ends[self.patch] = min(self.each) if clear else self.each[trial.seed]
        return super()._one(trial)


def test_seeds_that_agree_and_differ_get_two_more() -> None:
    e = tried(Seeds(1.8, 0.2, 1.6, 0.6, 0.9))
    assert (e.status, e.seeds) == ("confirmed", 5)
    e = tried(Seeds(1.8, 0.2, 1.6, 1.9, 0.3))
    assert (e.status, e.seeds, (e.seeds_needed or 0) > 5) == ("inconclusive", 5, True)


def test_one_seed_without_the_effect_is_enough_to_stop_at_three() -> None:
    e = tried(Seeds(1.8, 0.2, 2.0, 0.2, 0.2))
    assert (e.status, e.seeds) == ("inconclusive", 3)


@pytest.mark.parametrize("which", ["", "drop-module:softmax"])
def test_a_trial_that_says_nothing_leaves_it_untested(which: str) -> None:
    e = tried(Numbers(failures={which: "the script was stopped to protect your files: it writes to /x"}))
    assert (e.status, e.reason) == ("untested", "the script was stopped to protect your files: it writes to /x")
    assert e.before is None


def test_a_patch_without_a_place_is_never_confirmed() -> None:
    runner = Numbers({"drop-module:softmax": 0.5})
    told = TrialInfo(["drop-module:softmax"], 0, {})
    run = run_of(told, series={LOSS: [1.0] * 60})
    assert Trained.of(Trial(tuple(DROP)), run, 0.0).failure == (
        "drop-module:softmax: this training has no place at which it could act"
    )
    runner.failures = {"drop-module:softmax": "no place"}
    assert tried(runner).status == "untested"


def test_no_time() -> None:
    runner = Numbers()
    assert (tried(runner, 0.0).reason, runner.asked) == (NO_TIME, [])
    slow = Numbers({"drop-module:softmax": 0.5})
    slow.seconds = 100.0
    e = tried(slow, 60.0)
    assert (e.status, e.reason, e.seeds) == ("inconclusive", NO_TIME, 1)


def test_too_few_steps_and_no_loss_are_said() -> None:
    e = tried(Numbers(), steps=8)
    assert (e.status, e.reason) == ("inconclusive", "8 steps with and without the patch; at least 12 are needed")
    assert (
        tried(Numbers(), metrics=("evaluation",)).reason
        == "no evaluation that computes a loss, compares classes or prints a number was seen"
    )


def test_a_training_that_broke_off_is_worse_than_any() -> None:
    class Breaking(Numbers):
        def _one(self, trial: Trial) -> Trained:
            done = super()._one(trial)
            if trial.patches:
                return done
            info = TrialInfo([], trial.seed, {})
            run = run_of(info, series={LOSS: [2.3] * 15, ERROR: [2.3] * 15}, ended="exception", steps=15)
            return Trained.of(trial, run, 0.0)

    e = tried(Breaking({"drop-module:softmax": 2.2}))
    assert e.status == "confirmed"
    assert e.before == pytest.approx(4 * 2.3, rel=0.01)


def test_four_evaluations_are_a_comparison() -> None:
    runner = Numbers()

    def evaluations(trial: Trial) -> list[Any]:
        level = 0.5 if trial.patches else 2.0
        return [
            Evaluation(i, 0, 1, None, {}, 1, level + 0.001 * (i + trial.seed), 0, False, False, False) for i in range(4)
        ]

    runner.more = evaluations
    e = tried(runner, metrics=("evaluation", "loss"))
    assert (e.status, e.metric) == ("confirmed", "evaluation")
    assert e.before == pytest.approx(2.0, abs=0.01)


def test_what_changes_only_with_the_patch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flightcheck.lab.experiments._findings", lambda *_: (["L16"], ["C14"]))
    e = tried(Numbers({"drop-module:softmax": 0.5}))
    assert (e.status, e.reason, e.gone) == ("inconclusive", "with it C14 appears", ["L16"])


# -- the agenda ------------------------------------------------------------------------------------------------------


def watched(*regimes: str, extra: Sequence[Any] = (), **info: Any) -> Run:
    optimizer = OptimizerInfo(0, "SGD", None, groups=[{"lr": 0.1}], steps=60)
    calls = [
        LossCall(0, i, True, [64, 10], [64], [], "float32", "int64", 2.3, -4.0, 3.0, 0, 9, target_mean=4.5 + i / 10)
        for i in range(8)
    ]
    return run_of(Plan(regimes=list(regimes)), optimizer, *calls, *extra, series={LOSS: [2.3] * 60}, **info)


def candidate(code: str, patch: str, rival_of: str = "") -> Candidate:
    return Candidate(info_of(code), Finding("…", patch=patch), rival_of)


def questions(runner: Numbers, *candidates: Candidate, run: Run | None = None) -> list[Experiment]:
    return list(investigate(Lab(runner, 60.0), run or watched(), candidates))


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (watched("gan"), "the losses of players against each other do not measure progress"),
        (watched("reinforcement"), "the data depend on the model: two runs do not see the same"),
        (watched("compiled"), "the model is compiled"),
        (watched(ended="interrupted"), "the script was interrupted"),
        (run_of(steps=0), "no optimizer stepped"),
    ],
)
def test_where_nothing_can_be_tried(run: Run, reason: str) -> None:
    runner = Numbers()
    assert untestable(run) == reason
    (e,) = questions(runner, candidate("L03", "drop-module:softmax"), run=run)
    if run.in_regime("reinforcement"):  # what is printed may tell
        assert (e.status, e.reason) == ("untested", "no return of an episode was printed")
    else:
        assert (e.status, e.reason, runner.asked) == ("untested", reason, [])


def test_alternatives_until_one_is_confirmed() -> None:
    runner = Numbers({"lr:x0.01": 0.3})
    found = questions(runner, candidate("P01", "lr:x0.1 | lr:x0.01 | lr:x0.001"))
    assert [(e.patch, e.status) for e in found] == [("lr:x0.1", "refuted"), ("lr:x0.01", "confirmed")]


def test_patches_that_belong_together() -> None:
    found = questions(Numbers({"zero-grad + lr:x0.1": 0.3}), candidate("P12", "zero-grad + lr:x0.1"))
    assert [(e.patch, e.status) for e in found] == [("zero-grad + lr:x0.1", "confirmed")]


def test_a_rival_is_tried_if_the_root_is_not_confirmed() -> None:
    root, rival = candidate("D03", "inputs:standardize"), candidate("P01", "lr:x0.1", "D03")
    found = questions(Numbers({"inputs:standardize": 0.3, "lr:x0.1": 0.3}), root, rival)
    assert [e.question for e in found] == ["D03"]
    found = questions(Numbers({"lr:x0.1": 0.3}), root, rival)
    assert [(e.question, e.status) for e in found] == [("D03", "refuted"), ("P01", "confirmed")]


def test_an_exact_fault_is_given_more_steps_and_no_questions_are_asked() -> None:
    runner = Numbers()
    (found,) = questions(runner, candidate("L03", "drop-module:softmax"))
    assert found.status == "refuted"
    assert {t.steps for t in runner.run_} == {60, 240}


def test_a_low_loss_on_one_class_at_a_time_does_not_speak_against_shuffling() -> None:
    runner = Numbers({"shuffle": 2.4}, control=0.5)
    (found, *_) = questions(runner, candidate("D06", "shuffle"))
    assert (found.question, found.status, found.reason) == (
        "D06",
        "untested",
        "no evaluation that computes a loss, compares classes or prints a number was seen",
    )
    assert runner.run_[0].evaluates


def test_nothing_found_is_asked_whether_the_inputs_matter_and_the_rate_fits() -> None:
    runner = Numbers({"inputs:permute": 2.3, "lr:x0.1": 2.2, "lr:x10": 1.9}, control=1.0)
    found = {(e.question, e.patch): e.status for e in questions(runner)}
    assert ("S02", "inputs:permute") in found
    assert ("P01", "lr:x0.1") in found
    assert not any(q == "S01" for q, _ in found), "inputs matter: nothing is wrong with the fit"
    assert "confirmed" not in found.values()


def test_inputs_that_make_no_difference_lead_to_the_fit_of_a_batch() -> None:
    found = [(e.question, e.patch) for e in questions(Numbers(control=2.2))]
    assert ("S01", "freeze-batch:8 + regularization:off") in found
    assert ("S01", "freeze-batch:8 + regularization:off + optimizer:Adam(0.003)") in found
    assert [p for q, p in found if q == "S02"] == ["inputs:permute", "inputs:zero", "inputs:permute"]


def held_back(*regimes: str, rates: Sequence[float] = (0.1,) * 60, extra: Sequence[Any] = ()) -> Run:
    """Epsilon is large and weights have 16 bits: every question about the size of steps is open."""
    short = StoredUpdate(0, "bfloat16", 60, 60, 0.9, 640)
    large = SecondMoments(0, 0, 1.0, [1.0], [10], elements=640)
    run = watched(*regimes, extra=(short, large, *extra))
    run.frames.update(run_of(series={LEARNING_RATE: rates}).frames)
    return run


def sizes(runner: Numbers, run: Run | None = None) -> list[tuple[str, str, int]]:
    """Questions about the size of steps: code, patch, steps."""
    asked = [e for e in questions(runner, run=run or held_back()) if e.question in ("P01", "P14", "P20", "P02")]
    return [(e.question, e.patch, e.steps) for e in asked]


SIZES = [("P01", "lr:x0.1", 80), ("P14", "epsilon:1e-8", 300), ("P20", "precision:master", 300), ("P02", "lr:x10", 80)]


def test_what_holds_steps_back_is_asked_before_a_larger_rate() -> None:
    assert sizes(Numbers(control=2.25))[:4] == SIZES
    for n, (_, patch, _) in enumerate(SIZES, 1):
        assert sizes(Numbers({patch: 0.3}, control=2.25)) == SIZES[:n], "the first that is confirmed is the last"


def test_only_what_is_possible_is_asked() -> None:
    run = held_back()
    run.records["StoredUpdate"] = [StoredUpdate(0, "bfloat16", 60, 60, 0.9, 640, master=True)]
    run.records["SecondMoments"] = [SecondMoments(0, 0, 1.0, [0.2], [10], elements=640)]
    assert [code for code, *_ in sizes(Numbers(control=2.25), run)][:2] == ["P01", "P02"]


def test_fine_tuning_and_warm_up_are_meant_to_be_slow() -> None:
    assert sizes(Numbers(control=2.25), held_back("finetune")) == SIZES[:1]
    rising = [1e-4 * i for i in range(60)]
    assert sizes(Numbers(control=2.25), held_back(rates=rising)) == SIZES[:1]


def test_after_a_warm_up_a_larger_rate_is_tried_for_long() -> None:
    run = held_back(rates=[*(1e-4 * i for i in range(20)), *[2e-3] * 100])
    assert [(p, n) for p, n, _ in faster(Numbers({"lr:x10": 0.3, "lr:x100": 3.0}, control=2.25), run)] == [
        ("lr:x10", 300)
    ]


def test_a_smaller_rate_that_helps_most_seeds_is_tried_for_longer() -> None:
    def slower(runner: Numbers) -> list[tuple[int, str]]:
        return [(e.steps, e.status) for e in questions(runner, run=held_back()) if e.question == "P01"]

    assert slower(Seeds(0.5, 1.0, 1.95, patch="lr:x0.1", steps=300)) == [(80, "inconclusive"), (300, "confirmed")]
    assert slower(Numbers({"lr:x0.1": 1.98})) == [(80, "inconclusive")], "a small gain is no promise"


class Slow(Numbers):
    """A larger rate shows what it is worth after a while."""

    def _one(self, trial: Trial) -> Trained:
        self.ends["lr:x100"] = 0.3 if trial.steps > 100 else 2.2
        return super()._one(trial)


def faster(runner: Numbers, run: Run | None = None) -> list[tuple[str, int, str]]:
    found = questions(runner, run=run or held_back())
    return [(e.patch, e.steps, e.status) for e in found if e.question == "P02"]


def test_a_rate_that_is_better_and_not_by_enough_is_given_more_steps() -> None:
    told = faster(Slow({"lr:x10": 2.24}, control=2.25))
    assert [(patch, steps) for patch, steps, _ in told] == [("lr:x10", 80), ("lr:x100", 80), ("lr:x100", 300)]
    assert [status for *_, status in told] == ["inconclusive", "inconclusive", "confirmed"]


def test_a_rate_that_is_worse_ends_the_search() -> None:
    assert [p for p, *_ in faster(Numbers({"lr:x10": 2.6}, control=2.25))] == ["lr:x10"]
    # no better, and no worse: a hundred times the rate is tried, but not for longer
    assert [(p, n) for p, n, _ in faster(Numbers({"lr:x10": 2.25, "lr:x100": 2.4}, control=2.25))] == [
        ("lr:x10", 80), ("lr:x100", 80),
    ]  # fmt: skip


def test_a_rate_that_is_worse_leaves_the_one_that_was_better() -> None:
    told = [(p, n) for p, n, _ in faster(Numbers({"lr:x10": 2.15, "lr:x100": 2.6}, control=2.25))]
    assert told == [("lr:x10", 80), ("lr:x100", 80), ("lr:x10", 300)]


def test_a_training_that_arrives_is_not_too_slow() -> None:
    def told(last: float) -> list[tuple[str, int, str]]:
        run = held_back()
        run.frames.update(run_of(series={LOSS: [float(v) for v in np.linspace(2.3, last, 400)]}).frames)
        return faster(Numbers({"lr:x10": 1.0, "lr:x100": 1.0}, control=2.25), run)

    assert told(0.3) == [
        ("lr:x10", 80, "inconclusive"),
        ("lr:x100", 80, "inconclusive"),
        ("lr:x100", 300, "inconclusive"),
    ]
    assert told(1.9) == [("lr:x10", 80, "confirmed")], "five times as far as in 400 steps of its own"


def test_both_modes_are_compared_where_the_mode_matters_and_nothing_was_found() -> None:
    dropout = ModuleInfo(0, "model.1", "Dropout", "dropout", 0)
    plain = ModuleInfo(0, "model.1", "Linear", "linear", 0)
    root = RootInfo(0, "model", "Net", train_calls=60)

    def asked(module: ModuleInfo, **ends: float) -> bool:
        runner = Numbers({k.replace("_", ":"): v for k, v in ends.items()}, control=1.0)
        list(investigate(Lab(runner, 60.0), held_back(extra=(root, module)), ()))
        return any("probe:modes" in told for told in runner.asked)

    assert asked(dropout)
    assert not asked(plain)
    assert not asked(dropout, **{"lr_x0.1": 0.3})


def test_many_experiments_need_smaller_p_values() -> None:
    one = Experiment("L03", "x", status="confirmed", p=0.004)
    other = Experiment("P01", "y", status="confirmed", p=0.0002)
    none = Experiment("S02", "z", reason="no time")
    first, second, third = adjusted([one, other, none], ALPHA)
    assert (first.status, first.p) == ("confirmed", 0.004)
    assert (second.status, second.p) == ("confirmed", 0.0004)
    assert third is none
    first, *_ = adjusted([one, other, Experiment("P02", "v", status="refuted", p=0.5), one, one], ALPHA)
    assert first.status == "inconclusive"


def test_what_was_found_until_an_interrupt_is_kept() -> None:
    class Interrupted(Numbers):
        closed = False

        def _one(self, trial: Trial) -> Trained:
            if "lr:x0.01" in map(str, trial.patches):
                raise KeyboardInterrupt
            return super()._one(trial)

        def close(self) -> None:
            self.closed = True

    run, runner = watched(), Interrupted()
    finding = Finding("…", patch="lr:x0.1 | lr:x0.01")
    diagnosis = diagnose(run, [Verdict(info_of("P01"), "fail", "", (finding,))])
    with pytest.raises(KeyboardInterrupt):
        experiment(run, diagnosis, runner, 60.0)
    assert runner.closed
    assert [(e.patch, e.status) for e in run.experiments] == [("lr:x0.1", "refuted")]


def test_what_stands_alone_after_a_refutation_is_tried_as_well() -> None:
    rounds: list[list[str]] = []

    def again(found: Sequence[Experiment]) -> list[Candidate]:
        rounds.append([f"{e.question} {e.status}" for e in found])
        return [candidate("D03", "inputs:standardize"), candidate("C05", "reinit:kaiming")]

    runner = Numbers({"inputs:standardize": 2.0, "reinit:kaiming": 1.0})
    found = list(investigate(Lab(runner, 60.0), watched(), [candidate("D03", "inputs:standardize")], again))
    assert rounds == [["D03 refuted"]]
    assert [(e.question, e.status) for e in found[:2]] == [("D03", "refuted"), ("C05", "confirmed")]
    assert [(e.question, e.status) for e in found[2:]] == [("C09", "confirmed")], "and then nothing more is asked"


def test_after_a_cure_nothing_is_diagnosed_again() -> None:
    def never(found: Sequence[Experiment]) -> list[Candidate]:
        raise AssertionError

    runner = Numbers({"inputs:standardize": 1.0})
    found = list(investigate(Lab(runner, 60.0), watched(), [candidate("D03", "inputs:standardize")], never))
    assert [e.status for e in found] == ["confirmed"]


def test_a_suspicion_is_not_refuted_where_no_training_moved() -> None:
    runner = Numbers(control=2.29)
    (e, *_) = questions(runner, candidate("C07", "swap-activation:relu"))
    assert (e.status, e.steps) == ("inconclusive", 240)
    assert e.reason == "in 240 steps neither training moved"


def test_numbers_that_only_count_are_tried_in_trainings_of_agents() -> None:
    patch = "source:cleared@total:train.py:5"
    (e,) = questions(Numbers(), candidate("L07", patch), run=watched("reinforcement"))
    assert (e.patch, e.reason) == (patch, "no number of an evaluation was printed"), "and not by the agent's return"
