import pytest
import torch

from tunesmith.training import logits
from tunesmith.training.logits import summed_loss


@pytest.mark.parametrize("chunk", [2**23, 40])
def test_chunks_give_the_loss_and_gradients_of_the_whole(chunk, monkeypatch):
    monkeypatch.setattr(logits, "CHUNK_NUMBERS", chunk)
    torch.manual_seed(0)
    hidden, head = torch.randn(50, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    targets = torch.randint(20, (50,))
    ours = summed_loss(hidden, head, targets) / 7
    theirs = torch.nn.functional.cross_entropy(hidden @ head.t(), targets, reduction="sum") / 7
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(
        torch.autograd.grad(ours, (hidden, head)), torch.autograd.grad(theirs, (hidden, head)), strict=True
    ):
        torch.testing.assert_close(a, b)
