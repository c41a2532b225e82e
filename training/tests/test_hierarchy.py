"""A file's vector, whatever the number of its chunks and of the files beside it."""

import pytest
import torch
import torch.nn.functional as F

from hierarchy import fused_file, grouped
from parity import Family


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_file_of_one_group_is_its_chunks_fused(family: Family, count: int) -> None:
    chunks = F.normalize(torch.randn(count, 64), dim=-1)
    padded = F.pad(chunks, (0, 0, 0, 8 - count))[None]
    expected = family.fuser(padded, torch.tensor([count]))
    others = [torch.randn(20, 64), torch.randn(2, 64)]
    assert torch.allclose(fused_file(family.fuser, *grouped([chunks], 8)), expected, atol=1e-5)
    assert torch.allclose(fused_file(family.fuser, *grouped([others[0], chunks, others[1]], 8))[1], expected[0], atol=1e-5)


@torch.no_grad()
def test_a_longer_file_is_its_groups_fused_in_order(family: Family) -> None:
    chunks = F.normalize(torch.randn(11, 64), dim=-1)
    groups = family.fuser(torch.stack((chunks[:8], F.pad(chunks[8:], (0, 0, 0, 5)))), torch.tensor([8, 3]))
    expected = family.fuser(F.pad(groups, (0, 0, 0, 6))[None], torch.tensor([2]))
    assert torch.allclose(fused_file(family.fuser, *grouped([chunks], 8)), expected, atol=1e-5)
    assert not torch.allclose(fused_file(family.fuser, *grouped([chunks.flip(0)], 8)), expected, atol=1e-3)


def test_of_a_very_long_file_the_first_groups_count() -> None:
    chunks, lengths = grouped([torch.randn(100, 4), torch.randn(9, 4)], 8)
    assert chunks.shape == (2, 8, 8, 4) and lengths.tolist() == [[8] * 8, [8, 1] + [0] * 6]
