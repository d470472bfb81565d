"""Named randomness: the same numbers however the global batch is split."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from vitrail.nn.randomness import RowRandom, derive_seed

TOTAL = 24


def draws(random: RowRandom) -> dict[str, Tensor]:
    return {
        "uniform": random.uniform("crop", 2),
        "normal": random.normal("noise", 3, 5),
        "integers": random.integers("flip", 7),
        "permutation": random.permutation("mix"),
    }


@pytest.mark.parametrize(("ranks", "micro"), [(1, 1), (2, 1), (1, 3), (2, 3), (3, 4), (24, 1)])
def test_any_split_gives_what_one_process_draws(ranks: int, micro: int) -> None:
    whole = draws(RowRandom(3, 5, range(TOTAL), TOTAL))
    size = TOTAL // (ranks * micro)
    parts = [draws(RowRandom(3, 5, range(start, start + size), TOTAL)) for start in range(0, TOTAL, size)]
    for name, expected in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), expected)


def test_rows_may_be_strided() -> None:
    whole = draws(RowRandom(3, 5, range(TOTAL), TOTAL))
    for name, part in draws(RowRandom(3, 5, range(1, TOTAL, 5), TOTAL)).items():
        assert torch.equal(part, whole[name][1::5])


def test_a_draw_does_not_depend_on_earlier_draws_or_on_the_global_state() -> None:
    random = RowRandom(3, 5, range(TOTAL), TOTAL)
    first = random.uniform("crop", 2)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    random.normal("else", 99)
    assert torch.equal(random.uniform("crop", 2), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_names_steps_and_seeds_are_streams_of_their_own() -> None:
    n = 4001
    base = RowRandom(3, 5, range(n), n).uniform("crop")
    others = [
        RowRandom(3, 5, range(n), n).uniform("flip"),
        RowRandom(3, 6, range(n), n).uniform("crop"),
        RowRandom(4, 5, range(n), n).uniform("crop"),
        RowRandom(35, 5, range(n), n).uniform("crop"),
    ]
    for other in others:
        # Independent uniforms: the correlation's standard error is 1/sqrt(4001) = 0.016.
        assert abs(float(torch.corrcoef(torch.stack([base, other]))[0, 1])) < 0.08


def test_the_numbers_are_what_they_say() -> None:
    random = RowRandom(0, 0, range(4001), 4001)
    uniform = random.uniform("u")
    assert uniform.dtype == torch.float32
    assert 0 <= float(uniform.min()) < 0.01
    assert 0.99 < float(uniform.max()) < 1
    assert abs(float(random.normal("n").std()) - 1) < 0.05
    assert set(random.integers("i", 3).tolist()) == {0, 1, 2}
    assert sorted(random.permutation("p").tolist()) == list(range(4001))


def test_shared_is_one_draw_for_everyone() -> None:
    one = RowRandom(3, 5, range(4), TOTAL).shared("size", 2)
    other = RowRandom(3, 5, range(20, 24), TOTAL).shared("size", 2)
    assert one.shape == (2,)
    assert torch.equal(one, other)


def test_seeds_do_not_run_together() -> None:
    """(1, 23) and (12, 3) are different, as are a number and its neighbour's digits."""
    seeds = {derive_seed(*parts) for parts in [(1, 23), (12, 3), (123,), ("1", "2", 3), (1, "23x"), (3, 21)]}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_in_another_process() -> None:
    """Python's own hash of a string is not."""
    code = "from vitrail.nn.randomness import derive_seed; print(derive_seed(3, 'crop', 5))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(found) == derive_seed(3, "crop", 5)
