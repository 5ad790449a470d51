import pytest
import torch

from tunesmith.training import documents
from tunesmith.training.documents import attend, layout_of


def reference(query, key, value, lengths, prefix, scale):
    """Attention with one dense mask, in float64."""
    tokens, heads, _ = query.shape
    key, value = (x.repeat_interleave(heads // key.shape[1], 1) for x in (key, value))
    row = torch.cat([torch.zeros(prefix), *(torch.full((n,), i + 1.0) for i, n in enumerate(lengths))])
    place = torch.arange(tokens)
    allowed = (place[:, None] >= place) & ((row[:, None] == row) | (row == 0))
    scores = torch.einsum("thd,shd->hts", query, key) * scale
    return torch.einsum("hts,shd->thd", scores.masked_fill(~allowed, float("-inf")).softmax(-1), value)


CASES = [([5, 3, 9, 9, 2], 0), ([5, 3, 9, 9, 2], 4), ([9, 8, 7, 9, 2], 4), ([1], 0), ([1, 1], 3), ([70, 30, 20], 10)]


@pytest.mark.parametrize(("lengths", "prefix"), CASES)
@pytest.mark.parametrize(("block", "keep"), [(256, 192), (16, 192), (16, 0)])
def test_rows_attend_to_the_prefix_and_to_themselves_alone(lengths, prefix, block, keep, monkeypatch):
    monkeypatch.setattr(documents, "QUERY_BLOCK", block)
    monkeypatch.setattr(documents, "KEEP_LENGTH", keep)
    torch.manual_seed(0)
    tokens = sum(lengths) + prefix
    states = [torch.randn(tokens, heads, 8, dtype=torch.float64, requires_grad=True) for heads in (6, 2, 2)]
    ours = attend(*states, layout_of(lengths, prefix=prefix), 0.3)
    theirs = reference(*states, lengths, prefix, 0.3)
    torch.testing.assert_close(ours, theirs)
    slope = torch.randn_like(ours)
    for a, b in zip(torch.autograd.grad(ours, states, slope), torch.autograd.grad(theirs, states, slope), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_change_in_one_row_leaves_the_others_as_they_were():
    torch.manual_seed(0)
    query, key, value = (torch.randn(12, 2, 4) for _ in range(3))
    layout = layout_of([5, 7])
    before = attend(query, key, value, layout, 1.0)
    key[2] += 1
    after = attend(query, key, value, layout, 1.0)
    assert torch.equal(before[5:], after[5:])
    assert not torch.equal(before[2:5], after[2:5])


def test_rows_of_unlike_length_do_not_share_a_rectangle():
    layout = layout_of([100, 90, 20, 19])
    assert [(b.documents, b.longest) for b in layout.buckets] == [(2, 104), (2, 24)]


@pytest.mark.parametrize(("block", "keep"), [(256, 192), (16, 192), (16, 0)])
def test_the_two_ways_of_a_fork_see_the_trunk_and_themselves(block, keep, monkeypatch):
    monkeypatch.setattr(documents, "QUERY_BLOCK", block)
    monkeypatch.setattr(documents, "KEEP_LENGTH", keep)
    torch.manual_seed(0)
    trunk, first, second = 20, 15, 17
    states = [torch.randn(52 + 40, heads, 8, dtype=torch.float64, requires_grad=True) for heads in (6, 2, 2)]
    together = attend(*states, layout_of([52, 40], forks=[(trunk, trunk + first)]), 0.3)
    one = attend(*(part[: trunk + first] for part in states), layout_of([trunk + first]), 0.3)
    way = [torch.cat([part[:trunk], part[trunk + first : 52]]) for part in states]
    other = attend(*way, layout_of([trunk + second]), 0.3)
    alone = attend(*(part[52:] for part in states), layout_of([40]), 0.3)
    apart = torch.cat([one, other[trunk:], alone])
    torch.testing.assert_close(together, apart)
    slope = torch.randn_like(apart)
    for a, b in zip(
        torch.autograd.grad(together, states, slope), torch.autograd.grad(apart, states, slope), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
