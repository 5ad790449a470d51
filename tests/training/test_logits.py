import pytest
import torch
from torch.nn.functional import cross_entropy

from tunesmith.training import logits
from tunesmith.training.logits import label_losses, summed_loss


@pytest.fixture(params=[2**23, 40])
def chunk(request, monkeypatch):
    monkeypatch.setattr(logits, "CHUNK_NUMBERS", request.param)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    hidden, head = torch.randn(50, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    return hidden, head, torch.randint(20, (50,))


def assert_same(ours, theirs, inputs):
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("chunk")
def test_chunks_give_the_loss_and_gradients_of_the_whole(parts):
    hidden, head, targets = parts
    theirs = cross_entropy(hidden @ head.t(), targets, reduction="sum") / 7
    assert_same(summed_loss(hidden, head, targets) / 7, theirs, (hidden, head))


@pytest.mark.usefixtures("chunk")
def test_a_head_with_a_bias_has_its_gradient_too(parts):
    hidden, head, targets = parts
    bias = torch.randn(20, requires_grad=True)
    theirs = cross_entropy(hidden @ head.t() + bias, targets, reduction="sum") / 7
    assert_same(summed_loss(hidden, head, targets, bias) / 7, theirs, (hidden, head, bias))


@pytest.mark.usefixtures("chunk")
def test_each_label_may_weigh_as_it_likes(parts):
    hidden, head, targets = parts
    weights = torch.randn(50)
    theirs = (cross_entropy(hidden @ head.t(), targets, reduction="none") * weights).sum().sigmoid()
    assert_same((label_losses(hidden, head, targets) * weights).sum().sigmoid(), theirs, (hidden, head))


@pytest.mark.usefixtures("chunk")
def test_a_head_that_is_not_trained_gets_no_gradient(parts):
    hidden, head, targets = parts
    label_losses(hidden, head.detach(), targets).sum().backward()
    assert hidden.grad is not None
    assert head.grad is None
