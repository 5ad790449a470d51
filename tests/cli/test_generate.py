"""``tunesmith generate``, from the prompt to the answer."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tunesmith.cli.generate import command
from tunesmith.cli.main import main
from tunesmith.spec.sampling import Sampling

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    """An adapter folder as training leaves it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules=["q_proj"]))
    model.save_pretrained(tmp_path / "lora")
    (tmp_path / "lora" / "adapter_info.json").write_text(json.dumps({"base_model": str(tiny_model)}))
    return tmp_path / "lora"


def test_an_adapter_alone_answers_what_stdin_asks(
    adapter: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello"))
    assert main(["generate", "--adapter", str(adapter), "--max-tokens", "7", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["model"] == tiny_model.name
    assert said["finish_reason"] == "length"
    assert said["usage"]["completion_tokens"] == 7


def test_an_adapter_for_another_base_is_refused_at_once(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    typed = ["generate", "--model", str(tmp_path / "other"), "--adapter", str(adapter), "--prompt", "x", "--json"]
    assert main(typed) == 78
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "adapter_mismatch"


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        (["--prompt", "x"], 2, "--model MODEL, or --adapter DIR"),
        (["--model", "smollm2-135m-instruct", "--prompt", "x"], 78, "tunesmith pull smollm2-135m-instruct"),
        (["--model", "m", "--prompt", "x", "--temperature", "-1"], 2, "temperature"),
        (["--model", "m"], 2, "prompt is empty"),
        (["--model", "m", "--prompt", "caf\udce9"], 2, "'--prompt': this text is not UTF-8"),
        (["--model", "m", "--prompt", "x", "--system", "caf\udce9"], 2, "'--system': this text is not UTF-8"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    typed: list[str], status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["generate", *typed]) == status
    assert said in capsys.readouterr().err


def test_a_prompt_of_stdin_that_is_not_utf8_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))
    assert main(["generate", "--model", "m"]) == 2
    assert "The prompt is not UTF-8." in capsys.readouterr().err


def test_the_help_tells_the_default_that_is_in_force() -> None:
    assert f"Default: {Sampling().max_tokens}." in CliRunner().invoke(command, ["--help"]).output
