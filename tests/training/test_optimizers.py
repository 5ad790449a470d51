import pytest
import torch

from tunesmith.spec.recipe import Optimizer
from tunesmith.training.optimizers import BUILDERS, Trainables, build_optimizer, clip
from tunesmith.training.progress import Progress
from tunesmith.training.state import load_weights, save_state


def test_every_optimizer_of_a_recipe_is_built():
    assert set(BUILDERS) == {optimizer.value for optimizer in Optimizer}


def test_updates_too_small_for_16_bits_add_up_in_the_master():
    layer = torch.nn.Linear(4, 4, bias=False, dtype=torch.bfloat16)
    torch.nn.init.ones_(layer.weight)
    trainables = Trainables(layer)
    optimizer = build_optimizer(trainables, name="adamw_torch", learning_rate=1e-4, weight_decay=0.0)
    for _ in range(50):
        layer(torch.ones(1, 4, dtype=torch.bfloat16)).sum().backward()
        trainables.collect()
        trainables.apply(optimizer)
    assert abs(float(trainables.masters[0].detach().mean()) - (1 - 50e-4)) < 1e-4
    assert float(layer.weight.float().mean()) < 1


def test_matrices_decay_and_vectors_do_not():
    layer = torch.nn.Linear(3, 3)
    groups = build_optimizer(Trainables(layer), name="adamw_torch", learning_rate=1.0, weight_decay=0.5).param_groups
    assert [(group["weight_decay"], group["params"][0].ndim) for group in groups] == [(0.5, 2), (0.0, 1)]


def test_gradients_are_scaled_down_to_the_limit():
    gradients = [torch.full((4,), 3.0), torch.full((4,), 4.0)]
    assert clip(gradients, 1.0) == 10.0
    assert abs(float(torch.cat(gradients).norm()) - 1) < 1e-5


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_update_rule_moves_a_new_adapter_at_the_rate_it_is_given(name):
    """An adapter's second factor starts at zero: a rule that scales the rate by the weights would stand still."""
    layer = torch.nn.Linear(64, 64, bias=False)
    torch.nn.init.zeros_(layer.weight)
    trainables = Trainables(layer)
    optimizer = build_optimizer(trainables, name=name, learning_rate=0.01, weight_decay=0.0)
    layer(torch.ones(1, 64)).sum().backward()
    trainables.collect()
    trainables.apply(optimizer)
    torch.testing.assert_close(layer.weight, torch.full((64, 64), -0.01), rtol=1e-3, atol=0)


def test_masters_start_from_the_numbers_of_the_files():
    layer = torch.nn.Linear(2, 2, bias=False, dtype=torch.bfloat16)
    exact = torch.tensor([[1.0001, 2.0001], [3.0001, 4.0001]])
    layer.weight.data = exact.bfloat16()
    layer.weight.stored = exact.clone()
    trainables = Trainables(layer)
    assert torch.equal(trainables.masters[0], exact)
    assert not hasattr(layer.weight, "stored")


def test_what_batch_normalisation_has_seen_comes_back_with_a_checkpoint(tmp_path):
    def built():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))

    model = built()
    trainables = Trainables(model)
    optimizer = build_optimizer(trainables, name="adamw_torch", learning_rate=0.1, weight_decay=0.0)
    model(torch.randn(5, 3, 2, 2))
    save_state(tmp_path, trainables, optimizer, Progress(batch=1, micro_tokens=1, loss_scale=1.0))
    other = built()
    load_weights(tmp_path, Trainables(other))
    for name, seen in model[1].named_buffers():
        assert torch.equal(seen, dict(other[1].named_buffers())[name])
    assert other[1].num_batches_tracked == 1
