"""Linear maps laid out for few rows: the same numbers, in a copy that shares everything else."""

import pytest
import torch
from torch import nn

from vitrail.nn.few_rows import FewRowsLinear, for_few_rows


@pytest.mark.parametrize("rows", [(), (1,), (3, 5), (7, 0)])
@pytest.mark.parametrize(("out", "bias"), [(16, True), (16, False), (13, True), (1, False)])
def test_the_numbers_of_a_linear_map(rows: tuple[int, ...], out: int, bias: bool) -> None:
    torch.manual_seed(3)
    linear = nn.Linear(11, out, bias=bias)
    x = torch.randn(*rows, 11) if rows else torch.randn(1, 11)
    found = FewRowsLinear(linear.weight, linear.bias)(x)
    torch.testing.assert_close(found, linear(x), atol=1e-6, rtol=1e-5)


def test_a_copy_shares_what_it_does_not_lay_out() -> None:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(7, 24), nn.LayerNorm(24), nn.ModuleDict({"kv": nn.Linear(24, 5)}))
    copied = for_few_rows(module, leave=("kv",))
    assert isinstance(copied, nn.Sequential)
    assert isinstance(copied[0], FewRowsLinear)
    assert copied[1].weight is module[1].weight
    assert copied[2]["kv"].weight is module[2]["kv"].weight
    assert isinstance(module[0], nn.Linear)
    assert not copied[0].state_dict()
