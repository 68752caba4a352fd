"""C10 symmetric-initialization."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from flightcheck.adapters.torch.statistics import duplicate_rows
from flightcheck.recording.records import OptimizerInfo, ParameterInfo
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line, network, with_parameters


def test_a_network_of_zeros_fails_at_the_line_that_wrote_them() -> None:
    records = network(3, zero=True, constant=True, write_location=line(20), gradients_nonzero=0)
    (finding,) = verdict_of("C10", run_of(*records)).findings
    assert finding.location == line(20)
    assert finding.evidence["kind"] == "zero"


def test_zeros_under_sigmoid_have_equal_gradients_and_fail() -> None:
    records = network(3, zero=True, constant=True, gradient_duplicate_rows=1.0)
    assert verdict_of("C10", run_of(*records)).status == "fail"


def test_constant_layers_fail() -> None:
    records = network(3, constant=True, duplicate_rows=1.0, gradient_duplicate_rows=1.0)
    (finding,) = verdict_of("C10", run_of(*records)).findings
    assert finding.location == line(10)
    assert finding.parameters == (0, 1)


def test_nothing_but_zeros_fails_where_biases_tell_the_units_apart() -> None:
    records = network(3, zero=True, constant=True, write_location=line(20), gradient_duplicate_rows=0.7)
    (finding,) = verdict_of("C10", run_of(*records)).findings
    assert finding.location == line(20)
    assert "only biases" in finding.message
    drawn = with_parameters(records, 1, zero=False, constant=False)
    assert verdict_of("C10", run_of(*drawn)).status == "pass"


def test_random_weights_pass() -> None:
    assert verdict_of("C10", run_of(*network(3, gradient_duplicate_rows=0.0))).status == "pass"


def test_a_zero_initialized_head_passes_even_with_classes_that_were_not_seen() -> None:
    records = with_parameters(network(3), 2, zero=True, constant=True, gradient_duplicate_rows=0.97)
    assert verdict_of("C10", run_of(*records)).status == "pass"


def test_a_lora_factor_of_zeros_passes() -> None:
    records = with_parameters(network(4), 2, zero=True, constant=True, gradient_duplicate_rows=0.0)
    assert verdict_of("C10", run_of(*records)).status == "pass"


def test_zeros_cut_off_from_the_loss_are_left_to_another_check() -> None:
    records = with_parameters(network(3), 1, zero=True, constant=True, gradients_seen=0, gradients_nonzero=0)
    assert verdict_of("C10", run_of(*records)).status == "pass"


def test_without_gradients_it_is_inconclusive() -> None:
    records = network(3, constant=True, gradient_checks=0, gradients_seen=0, gradients_nonzero=0)
    assert verdict_of("C10", run_of(*records)).status == "inconclusive"


def test_without_matrices_it_is_skipped() -> None:
    assert verdict_of("C10", run_of(*network(2, optimizers=[]))).status == "skipped"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_single_columns_of_few_bits_are_equal_by_chance(dtype: torch.dtype) -> None:
    drawn = torch.rand(256, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert duplicate_rows(drawn[:, :1].contiguous()) == 0.0
    assert duplicate_rows(drawn) == 0.0
    assert duplicate_rows(torch.full((256, 8), 0.5, dtype=dtype)) == 1.0
    assert duplicate_rows(torch.full((256, 1), 0.5)) == 1.0  # in 32 bits it is no chance


def test_two_tables_of_zeros_that_are_multiplied_fail() -> None:
    tables = [
        ParameterInfo(
            i, f"{name}.weight", -1, [50, 8], "embedding", optimizers=[0], zero=True, constant=True, gradients_seen=9,
            gradient_checks=9, gradients_nonzero=nonzero, location=line(7 + i),
        )
        for i, (name, nonzero) in enumerate([("users", 0), ("items", 0)])
    ]  # fmt: skip
    adam = OptimizerInfo(0, "Adam", steps=9)
    (finding,) = verdict_of("C10", run_of(adam, *tables)).findings
    assert finding.location == line(7)
    learning = [replace(t, gradients_nonzero=9) for t in tables]
    assert verdict_of("C10", run_of(adam, *learning)).status == "pass"  # a bias that starts at zero


def test_gains_of_zero_that_get_no_gradient_fail_and_those_of_a_branch_pass() -> None:
    at = line(12)
    gain = ParameterInfo(9, "net.norm.weight", 0, [32], "gain", optimizers=[0], zero=True, constant=True,
                         write_location=at, in_graph=True, gradients_seen=20, gradient_checks=20)  # fmt: skip
    (finding,) = verdict_of("C10", run_of(*network(3), gain)).findings
    assert (finding.location, finding.evidence["kind"]) == (at, "gains")
    assert verdict_of("C10", run_of(*network(3), replace(gain, gradients_nonzero=19))).status == "pass"


def test_the_layer_before_a_single_output_is_a_hidden_one() -> None:
    records = network(2, constant=True, duplicate_rows=1.0, gradient_duplicate_rows=1.0)
    assert verdict_of("C10", run_of(*with_parameters(records, 1, shape=[1, 16]))).findings[0].parameters == (0,)
