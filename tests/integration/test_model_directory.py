"""The examples of the training guide, run by the scripts of an installed model directory.

A handful runs always; `make chaos ARGS=tests/integration/test_model_directory.py` runs them all.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import openai
import psutil
import pytest

from fleet import processes_of
from integration.guide_data import ROWS, write_guide_data
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.service.models.install import install
from tunesmith.service.system.charts import HOST, free_port
from tunesmith.settings import Settings
from tunesmith.spec.events import DecisionMade, Finished

PRINTED: Final = (
    "lora/adapter_config.json",
    "lora/adapter_model.bin",
    "lora/adapter_model.safetensors",
    "lora/adapter_info.json",
    "checkpoints/best",
    "checkpoints/last",
    "logs/training",
    "training_history.png",
    "lora/checkpoints/best",
    "lora/logs/training",
    "lora/training_history.png",
)
"""What the guide says is there after training, and where the product says it is too."""

Told = dict[str, Any]
"""How a run was: its job, its summary, its decisions."""


class Place:
    """An installed tiny model with the guide's data beside it."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.environment = {**os.environ, "TUNESMITH_HOME": str(home), "HOME": str(home), "PYTHONIOENCODING": "utf-8"}

    def run(self, command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        words = shlex.split(command)
        return subprocess.run(
            [sys.executable, *words[1:]] if words[0] == "python" else words,
            cwd=folder or self.path, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def begin(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            shlex.split(command), cwd=self.path, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def told(self, output: str = "lora") -> Told:
        """Read how the run was that was published last."""
        run = RunFolder(Path(json.loads((self.path / output / "run.json").read_text())["folder"]))
        bodies = [event.body for event in read(run.events, 0)[0]]
        summary = next(body.summary for body in bodies if isinstance(body, Finished))
        decisions = [body for body in bodies if isinstance(body, DecisionMade)]
        return {"job": run.plan().spec, "plan": run.plan(), "summary": summary, "decisions": decisions, "run": run}


@pytest.fixture(scope="module")
def place(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("installed")
    directory = root / "LLM" / "models" / "tiny llama"
    install(str(tiny_model), Settings(home=root / "home"), lambda stage, done: None, directory=directory)
    write_guide_data(directory)
    return Place(directory, root / "home")


def read_until(process: subprocess.Popen[str], *words: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if all(word in line for word in words):
            return line
    raise AssertionError(f"it ended without saying {words}:\n{seen}")


def charts_of(place: Place) -> Iterator[psutil.Process]:
    """Yield the TensorBoard processes that a place's scripts started and did not end."""
    for process in psutil.process_iter(["cmdline"]):
        if any("charts_process" in word for word in process.info["cmdline"] or ()):
            try:
                if process.environ().get("HOME") == place.environment["HOME"]:
                    yield process
            except psutil.Error:
                continue


def test_an_example_leaves_everything_that_the_guide_lists(place: Place, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text((place.path / "dataset.json").read_text())
    script = shlex.quote(str(place.path / "train.sh"))
    done = place.run(f"{script} --data mine.json --epochs 3 --force-epochs", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "TensorBoard: http://localhost:" in done.stderr
    assert list(charts_of(place)) == []
    assert [name for name in PRINTED if not (place.path / name).exists()] == []
    assert sorted(os.listdir(tmp_path)) == ["mine.json"]
    told = place.told()
    assert told["summary"]["epochs"] == 3
    assert "weights" in json.loads((place.path / "lora" / "adapter_info.json").read_text())


def test_the_charts_of_earlier_runs_are_shown_until_ctrl_c(place: Place) -> None:
    if not (place.path / "lora").exists():
        assert place.run("./train.sh --data dataset.json --mode fast --skip-test").returncode == 0
    port = free_port(16_006)
    process = place.begin(f"./train.sh --tensorboard-only {port}")
    line = read_until(process, "TensorBoard: http://localhost:")
    address = line.split("localhost:")[1].split()[0]
    with urllib.request.urlopen(f"http://{HOST}:{address}/", timeout=30) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert list(charts_of(place)) == []


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("./train.sh --data vision_qa_data.json", 65, "a picture cannot be used"),
        ("./train.sh --data nowhere.json", 65, "nowhere.json"),
        ("./train.sh --data dataset.json --learning-rate -1", 2, "--learning-rate"),
        ("./train.sh --data dataset.json --use-4bit --method full", 2, "contradict"),
        ("./train.sh", 2, "No data is named"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence_and_a_status(
    place: Place, command: str, status: int, words: str
) -> None:
    done = place.run(command)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr


def test_non_stop_lands_when_it_is_interrupted(place: Place) -> None:
    process = place.begin("./train.sh --data dataset.json --mode non-stop --skip-test --no-tensorboard")
    read_until(process, "Evaluation #1")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    told = place.told()
    assert told["job"].recipe.mode == "non-stop"
    assert told["summary"]["state"] == "succeeded"


@pytest.mark.slow
def test_a_paused_run_goes_on_from_the_checkpoint_that_is_named(place: Place) -> None:
    common = "--data dataset.json --skip-test --no-tensorboard"
    process = place.begin(f"./train.sh {common} --epochs 20 --force-epochs --batch-size 4")
    read_until(process, "Evaluation #2")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 75
    runs = sorted((Path(place.environment["TUNESMITH_HOME"]) / "runs").iterdir())
    steps = sorted(int(path.name.split("-")[1]) for path in (runs[-1] / "checkpoints").glob("checkpoint-*"))
    done = place.run(f"./train.sh {common} --resume-from checkpoints/checkpoint-{steps[-1]}")
    assert done.returncode == 0, done.stderr
    told = place.told()
    assert told["run"].header().parent == runs[-1].name
    assert told["summary"]["epochs"] == 20


def recipe(**wanted: object) -> Callable[[Told], bool]:
    """Whether the run's recipe has these values, by dotted path with ``__`` for dots."""

    def holds(told: Told) -> bool:
        for path, value in wanted.items():
            found: Any = told["job"].recipe
            for name in path.split("__"):
                found = getattr(found, name)
            assert found == value, (path, found)
        return True

    return holds


def epochs(number: float) -> Callable[[Told], bool]:
    return lambda told: bool(told["summary"]["epochs"] == number)


def growing(told: Told) -> bool:
    return told["job"].recipe.mode == "circular" and any("batch" in made.field for made in told["decisions"])


def rows(number: int) -> Callable[[Told], bool]:
    return lambda told: told["plan"].data.rows == number


EXAMPLES: Final[tuple[tuple[str, Callable[[Told], bool]], ...]] = (
    ("./train.sh --data path/to/dataset.json", recipe(mode="medium", method="lora")),
    ("./train.sh --data 'data/*.json'", rows(2 * ROWS)),
    ("./train.sh --data datasets/", rows(4 * ROWS)),
    ("./train.sh --data 'train1.json,train2.json,train3.json'", rows(3 * ROWS)),
    ("./train.sh --data dataset.json --mode slow", recipe(mode="slow")),
    ("./train.sh --data dataset.json --mode medium", recipe(mode="medium")),
    ("./train.sh --data dataset.json --mode fast", recipe(mode="fast")),
    ("./train.sh --data small_dataset.json --circular", growing),
    ("./train.sh --data small_dataset.json --circular --max-circular-epochs 20", growing),
    ("./train.sh --data dataset.json --mode adaptive", recipe(mode="adaptive")),
    ("./train.sh --data dataset.json --epochs 5 --force-epochs", epochs(5)),
    ("./train.sh --data small_dataset.json --circular --max-circular-epochs 50 --force-epochs", epochs(50)),
    ("./train.sh --data 'datasets/*.json' --circular", growing),
    ("./train.sh --data 'train_data/*.json,validation_data/*.json'", rows(2 * ROWS)),
    ("./train.sh --data 'base_training.json,additional_data/'", rows(2 * ROWS)),
    ('./train.sh --data "squad:train" --dataset-format qa', rows(ROWS)),
    (
        "./train.sh --data dataset.json --patience 5 --overfitting-threshold 0.15",
        recipe(stopping__patience=5, stopping__overfitting_threshold=0.15),
    ),
    ("./train.sh --data dataset.json --lora-r 64 --lora-alpha 128", recipe(adapter__rank=64, adapter__alpha=128)),
    ("./train.sh --data dataset.json --method qlora", recipe(method="qlora", gradient_checkpointing=True)),
    ("./train.sh --data dataset.json --use-8bit", recipe(method="lora-8bit")),
    (
        "./train.sh --data dataset.json --batch-size 8 --learning-rate 2e-4 --epochs 5",
        recipe(batch__size=8, learning_rate=2e-4, epochs=5),
    ),
    ("./train.sh --data dataset.json --optimizer adamw_bnb_8bit", recipe(optimizer="adamw_bnb_8bit")),
    ("./train.sh --data large_dataset.json --max-examples 1000", rows(ROWS)),
    (
        "./train.sh --data dataset.json --validation-split 0.2",
        lambda told: bool(told["job"].evaluation.validation_split == 0.2),
    ),
    ("./train.sh --data alpaca_data.json", rows(ROWS)),
    ("./train.sh --data dataset.json --max-examples 100 --mode fast", recipe(mode="fast")),
    (
        "./train.sh --data dataset.json --method qlora --batch-size 1 --gradient-accumulation-steps 16",
        recipe(method="qlora", batch__size=1, batch__accumulation=16),
    ),
    ("./train.sh --data dataset.json --epochs 10 --force-epochs", epochs(10)),
    ("./train.sh --data small_data.json --circular --max-circular-epochs 30 --force-epochs", epochs(30)),
    ("./train.sh --data dataset.json --batch-size 1", recipe(batch__size=1)),
    ("./train.sh --data dataset.json --learning-rate 1e-5", recipe(learning_rate=1e-5)),
    (
        "./train.sh --data dataset.json --patience 10 --overfitting-threshold 0.3",
        recipe(stopping__patience=10, stopping__overfitting_threshold=0.3),
    ),
)
"""Every example of the guide that trains to its end, and what must be true of its run."""


@pytest.mark.chaos
@pytest.mark.parametrize(("command", "holds"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_the_guides_examples_run(place: Place, command: str, holds: Callable[[Told], bool]) -> None:
    done = place.run(command)
    assert done.returncode == 0, done.stderr
    assert [name for name in PRINTED if not (place.path / name).exists()] == []
    assert holds(place.told())


@pytest.mark.chaos
def test_a_training_script_of_ones_own_chooses_everything(place: Place) -> None:
    command = (
        "python train_lora.py --data custom_dataset.json --model-path ./model --output ./custom_lora "
        "--mode adaptive --lora-r 128 --learning-rate 5e-5 --epochs 10"
    )
    done = place.run(command)
    assert done.returncode == 0, done.stderr
    assert (place.path / "custom_lora" / "adapter_model.bin").is_file()
    told = place.told("custom_lora")
    assert recipe(mode="adaptive", adapter__rank=128, learning_rate=5e-5, epochs=10)(told)
    assert os.path.realpath(place.path / "checkpoints") == str(told["run"].checkpoints_dir.resolve())


@pytest.mark.chaos
def test_the_newest_unfinished_run_goes_on(place: Place) -> None:
    process = place.begin("./train.sh --data dataset.json --epochs 20 --force-epochs --batch-size 4 --skip-test")
    read_until(process, "Evaluation #2")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 75
    done = place.run("./train.sh --data dataset.json --resume")
    assert done.returncode == 0, done.stderr
    assert place.told()["summary"]["epochs"] == 20


@pytest.mark.chaos
@pytest.mark.parametrize(("file", "status"), [("temp_dataset.json", 0), ("vision_qa_data.json", 65)])
def test_a_pipeline_reads_how_it_ended_from_the_exit_status(place: Place, file: str, status: int) -> None:
    command = ["./train.sh", "--data", file, "--mode", "fast", "--skip-test"]
    result = subprocess.run(command, cwd=place.path, env=place.environment, capture_output=True, check=False)
    assert result.returncode == status


@contextmanager
def serving(place: Place, *flags: str) -> Iterator[str]:
    """Run `./start.sh`, give its address, and end it as Ctrl-C does."""
    process = place.begin(shlex.join(["./start.sh", "--port", "0", *flags]))
    try:
        yield read_until(process, "answers at").split("answers at ")[1].split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()


def test_what_was_trained_is_served_as_it_was_printed(place: Place) -> None:
    if not (place.path / "lora").exists():
        assert place.run("./train.sh --data dataset.json --mode fast --skip-test --no-tensorboard").returncode == 0
    asked = {"prompt": "Hello", "temperature": 0, "max_tokens": 12}
    (place.path / "mine.html").write_text("<p>My page</p>")
    with serving(place, "--ui-file", "mine.html", "--stream", "--dtype", "float32", "--device", "cpu") as url:
        info = httpx.get(f"{url}/info").json()
        assert (info["lora_loaded"], info["lora_path"]) == (True, str(place.path / "lora"))
        assert (info["dtype"], info["device"], info["stream_mode"]) == ("fp32", "cpu", True)
        assert httpx.get(url).text == "<p>My page</p>"
        assert httpx.get(f"{url}/health").json()["model_loaded"] is True
        streamed = httpx.post(f"{url}/generate", json=asked, timeout=60)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        tuned = httpx.post(f"{url}/generate", json=asked | {"stream": False}, timeout=60).json()
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        [name, base] = [model.id for model in client.models.list()]
        messages: Any = [{"role": "user", "content": "Hello"}]
        by_client = client.chat.completions.create(model=name, messages=messages, temperature=0, max_tokens=12)
        assert by_client.choices[0].message.content == tuned["text"]
        assert base == "base"
        assert streamed.headers["X-RateLimit-Limit"] == "60"
    with serving(place, "--no-lora", "--dtype", "float32") as url:
        assert httpx.get(f"{url}/info").json()["lora_loaded"] is False
        assert "<title>tunesmith</title>" in httpx.get(url).text
    assert not (Path(place.environment["TUNESMITH_HOME"]) / "tunesmith.db").exists()


@pytest.mark.chaos
def test_a_server_that_is_killed_leaves_no_model_behind(place: Place) -> None:
    process = place.begin("./start.sh --port 0 --no-lora")
    read_until(process, "answers at")
    home = Path(place.environment["TUNESMITH_HOME"])
    model = [each for each in processes_of(home) if each.pid != process.pid]
    process.kill()
    process.communicate()
    assert model  # Not a child of the server, as a run outlives the server that started it; this one must not.
    _, left = psutil.wait_procs(model, timeout=30)
    assert left == []


@pytest.mark.chaos
def test_the_chat_takes_what_was_trained(place: Place) -> None:
    if not (place.path / "lora").exists():
        assert place.run("./train.sh --data dataset.json --mode fast --skip-test --no-tensorboard").returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.cli.main", "chat", "--model", ".", "--max-tokens", "4"], cwd=place.path,
        env=place.environment, input="Hello\n/exit\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
