from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.service.jobs.training_config import TrainingConfig, read_training_config
from tunesmith.spec.errors import BadEntry, TunesmithError, UnknownKey, UnreadableFile

DOCUMENTED = Path(__file__).parents[3] / "config" / "training_config.yaml"


def test_the_documented_file_says_what_is_in_force_without_one(tmp_path: Path) -> None:
    assert read_training_config(DOCUMENTED) == TrainingConfig() == read_training_config(tmp_path / "none.yaml")


def test_what_the_file_leaves_out_keeps_its_value(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("langtext:\n  model_name: phi-2\nvision:\ntraining: {learning_rate: 2e-5, epochs: 7}\n")
    config = read_training_config(file)
    assert (config.category("LangText").model_name, config.category("LangText").max_length) == ("phi-2", 512)
    assert (config.training.epochs, config.training.batch_size, config.training.learning_rate) == (7, 8, 2e-5)
    assert config.vision.num_labels == 1000


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("lang: {}", UnknownKey, "Did you mean 'langtext'?"),
        ("langtext: {max_lenght: 3}", UnknownKey, "Did you mean 'max_length'?"),
        ("training: {epochs: 0}", BadEntry, "a whole number from 1 to 10000"),
        ("training: {learning_rate: quick}", BadEntry, "a number above 0"),
        ("langtext: DialoGPT", BadEntry, "a map of settings"),
        ("- langtext", UnreadableFile, "it holds no keys"),
        ("langtext: [", UnreadableFile, "line 1"),
        ("!!python/object/apply:os.system ['true']", UnreadableFile, "could not determine a constructor"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(
    text: str, error: type[TunesmithError], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(error) as refused:
        read_training_config(file)
    assert said in refused.value.message and str(file) in refused.value.message
