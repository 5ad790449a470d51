"""DPO against a plain implementation of its formula, and its reference as a fact of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from tiny import make_tiny_model
from training.parts import CPU, load_tiny
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.modalities.text.families import family_for
from tunesmith.spec.errors import OutOfMemory
from tunesmith.training.batching import micro_batches
from tunesmith.training.device import Ranks
from tunesmith.training.forward import build_forward
from tunesmith.training.preference import FILE, Preferences

BETA = 0.3


def pairs(count: int = 8, seed: int = 0) -> TokenRows:
    """Prompts of 5 to 30 tokens with two answers each; some answers begin alike."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        prompt = random.integers(0, 256, int(random.integers(5, 30))).tolist()
        begin = random.integers(0, 256, number % 3).tolist()
        for _ in range(2):
            answer = [*begin, *random.integers(0, 256, int(random.integers(3, 20))).tolist()]
            rows.append(EncodedRow([*prompt, *answer], [False] * len(prompt) + [True] * len(answer)))
    return TokenRows.of(rows)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = make_tiny_model(tmp_path_factory.mktemp(kind), architecture=kind)
        return made[kind]

    return folder


def preferences(model: Any, *, attention: str = "documents", micro_tokens: int = 128) -> Preferences:
    forward = build_forward(model, attention=attention, fused=True, joined=True, checkpointing=False, length=64)
    return Preferences(model, forward, CPU, fill=0, beta=BETA, micro_tokens=micro_tokens, base="tiny")


ALONE = Ranks(0, 1)


def warmed(
    objective: Preferences, folder: Path, *rows: TokenRows, earlier: tuple[Path, ...] = (), ranks: Ranks = ALONE
) -> list[Any]:
    made = [objective.rows(each) for each in rows]
    folder.mkdir(exist_ok=True)
    objective.warm_up(folder, earlier, lambda: None, ranks)
    return made


def log_probability(model: Any, ids: Any, mask: Any) -> torch.Tensor:
    """Of the labelled tokens of one row, by the model's own logits."""
    tokens = torch.tensor(ids, dtype=torch.long)
    logits = model(input_ids=tokens.unsqueeze(0), use_cache=False).logits[0, :-1].log_softmax(-1)
    chosen = logits.gather(1, tokens[1:].unsqueeze(1)).squeeze(1)
    return chosen[torch.tensor(mask[1:], dtype=torch.bool)].sum()


def plain_loss(model: Any, base: Any, rows: TokenRows) -> torch.Tensor:
    total = torch.zeros(())
    for pair in range(len(rows) // 2):
        now = [log_probability(model, *rows.row(2 * pair + side)) for side in (0, 1)]
        with torch.no_grad():
            before = [log_probability(base, *rows.row(2 * pair + side)) for side in (0, 1)]
        total = total - logsigmoid(BETA * ((now[0] - before[0]) - (now[1] - before[1])))
    return total


def train(model: Any) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.1)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_loss_and_gradients_are_those_of_the_formula(kind: str, method: str, folders: Any, tmp_path: Path) -> None:
    rows, model, base = pairs(), load_tiny(folders(kind), method=method), load_tiny(folders(kind), method=method)
    base.eval()  # Its adapter says something already, as that of a run that is continued.
    objective = preferences(model, attention=family_for(kind).attention)
    [made] = warmed(objective, tmp_path / "run", rows)
    train(model)
    model.eval()
    ours = objective.loss(made.batch(range(8)))
    ours.backward()
    found = gradients(model)
    again = load_tiny(folders(kind), method=method).eval()  # the same weights, in layers that nobody replaced
    again.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    theirs = plain_loss(again, base, rows)
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4)
    expected = gradients(again)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()) + 1e-7)


def test_any_split_into_micro_batches_gives_the_same_gradient(folders: Any, tmp_path: Path) -> None:
    model = load_tiny(folders("llama"), method="lora")
    objective = preferences(model)
    [made] = warmed(objective, tmp_path / "run", pairs())
    model.eval()
    objective.loss(made.batch(range(8))).backward()
    whole = gradients(model)
    for part in micro_batches(range(8), made.lengths, 100):
        objective.loss(made.batch(part)).backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-4, atol=1e-6)


def test_a_prompt_is_computed_once_for_both_answers(folders: Any) -> None:
    made = preferences(load_tiny(folders("llama"), method="lora")).rows(pairs())
    batch = made.batch([0])
    assert batch.rows.shared >= 5
    assert batch.tokens == int(made.lengths[0])
    assert len(batch.rows.ids) < batch.tokens + 64


@pytest.mark.parametrize("method", ["lora", "full"])
def test_nothing_is_gained_before_the_first_step(method: str, folders: Any, tmp_path: Path) -> None:
    model = load_tiny(folders("llama"), method=method)
    objective = preferences(model)
    [made] = warmed(objective, tmp_path / "run", pairs())
    with torch.no_grad():
        sums = objective.measure(made.batch(range(8)))
    assert sums["loss"] / 8 == pytest.approx(np.log(2), abs=1e-4)
    assert objective.metrics(sums, 8)["reward_margin"] == pytest.approx(0, abs=1e-4)


def test_rewards_are_told_apart(folders: Any, tmp_path: Path) -> None:
    model = load_tiny(folders("llama"), method="lora")
    objective = preferences(model)
    [made] = warmed(objective, tmp_path / "run", pairs())
    train(model)
    with torch.no_grad():
        parts = [objective.measure(made.batch(part)) for part in ([0, 1, 2], [3, 4, 5, 6, 7])]
    found = objective.metrics({name: parts[0][name] + parts[1][name] for name in parts[0]}, 8)
    assert found["reward_margin"] == pytest.approx(found["chosen_reward"] - found["rejected_reward"], abs=1e-5)
    assert 0 < found["reward_accuracy"] < 1


def test_a_resumed_run_finds_the_reference_or_computes_it_again_bit_for_bit(folders: Any, tmp_path: Path) -> None:
    rows, held_out = pairs(), pairs(4, seed=1)
    first = warmed(preferences(load_tiny(folders("llama"), method="lora")), tmp_path / "first", rows, held_out)
    again = warmed(preferences(load_tiny(folders("llama"), method="lora")), tmp_path / "again", rows, held_out)
    for one, other in zip(first, again, strict=True):
        assert one.reference.abs().sum() > 0
        assert torch.equal(one.reference, other.reference)

    kept = np.load(tmp_path / "first" / FILE)
    np.savez(tmp_path / "first" / FILE, **{key: kept[key] + 1 for key in kept.files})
    resumed = warmed(
        preferences(load_tiny(folders("llama"), method="lora")),
        tmp_path / "resumed", rows, held_out, earlier=(tmp_path / "first",),
    )  # fmt: skip
    assert torch.equal(resumed[0].reference, first[0].reference + 1)
    assert (tmp_path / "resumed" / FILE).is_file()


@pytest.mark.parametrize("damage", ["other rows", "torn"])
def test_a_reference_of_other_rows_or_a_torn_one_is_not_taken(damage: str, folders: Any, tmp_path: Path) -> None:
    rows = pairs()
    [fresh] = warmed(preferences(load_tiny(folders("llama"))), tmp_path / "fresh", rows)
    warmed(preferences(load_tiny(folders("llama"))), tmp_path / "old", pairs(seed=5))
    if damage == "torn":
        (tmp_path / "old" / FILE).write_bytes((tmp_path / "fresh" / FILE).read_bytes()[:100])
    [made] = warmed(preferences(load_tiny(folders("llama"))), tmp_path / "run", rows, earlier=(tmp_path / "old",))
    assert torch.equal(made.reference, fresh.reference)


def test_a_torn_reference_of_a_run_is_replaced(folders: Any, tmp_path: Path) -> None:
    [fresh] = warmed(preferences(load_tiny(folders("llama"))), tmp_path / "run", pairs())
    whole = (tmp_path / "run" / FILE).read_bytes()
    (tmp_path / "run" / FILE).write_bytes(whole[:100])
    again = preferences(load_tiny(folders("llama")))
    [made] = warmed(again, tmp_path / "run", pairs())
    assert again.is_warm(tmp_path / "run", [])
    assert torch.equal(made.reference, fresh.reference)
    assert [file.name for file in (tmp_path / "run").iterdir()] == [FILE]


def runs_out_of_memory(objective: Preferences, above: int) -> list[int]:
    """Have the objective run out of memory beyond ``above`` pairs; return the sizes of the batches it is asked for."""
    compute, sizes = objective._log_probabilities, []

    def computed(batch: Any) -> torch.Tensor:
        sizes.append(batch.labels)
        if batch.labels > above:
            raise torch.OutOfMemoryError("too much")
        return compute(batch)

    objective._log_probabilities = computed  # type: ignore[method-assign]
    return sizes


def test_where_memory_runs_out_the_reference_is_computed_in_halves(folders: Any, tmp_path: Path) -> None:
    [whole] = warmed(preferences(load_tiny(folders("llama")), micro_tokens=4096), tmp_path / "whole", pairs())
    objective = preferences(load_tiny(folders("llama")), micro_tokens=4096)
    sizes = runs_out_of_memory(objective, above=2)
    [made] = warmed(objective, tmp_path / "halves", pairs())
    assert sizes[0] == 8
    assert [size for size in sizes if size <= 2] == [2, 2, 2, 2]
    torch.testing.assert_close(made.reference, whole.reference, rtol=1e-4, atol=1e-4)


def test_a_pair_that_does_not_fit_is_named(folders: Any, tmp_path: Path) -> None:
    objective = preferences(load_tiny(folders("llama")))
    runs_out_of_memory(objective, above=0)
    with pytest.raises(OutOfMemory, match="one row of"):
        warmed(objective, tmp_path / "run", pairs())


class Apart(Ranks):
    """A process that never hears from the others."""

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        pass

    def least(self, number: int, device: torch.device) -> int:
        return number


def test_each_process_computes_its_share_of_the_reference_and_the_first_one_writes_it(
    folders: Any, tmp_path: Path
) -> None:
    [whole] = warmed(preferences(load_tiny(folders("llama"))), tmp_path / "whole", pairs())
    shares = []
    for rank in range(2):
        [made] = warmed(preferences(load_tiny(folders("llama"))), tmp_path / str(rank), pairs(), ranks=Apart(rank, 2))
        shares.append(made.reference)
        assert (tmp_path / str(rank) / FILE).is_file() == (rank == 0)
    assert all(share.any() for share in shares)
    assert not ((shares[0] != 0) & (shares[1] != 0)).any()
    assert torch.equal(shares[0] + shares[1], whole.reference)
