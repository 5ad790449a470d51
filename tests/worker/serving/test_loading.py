"""What a serve run holds, and what it answers with: tiny models with adapters that change what they say."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sample_plan import MODEL, sample_plan
from tiny import make_tiny_model
from tunesmith.runs.checkpoints import MANIFEST, stage
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import (
    AdapterMismatch,
    AdapterNotLive,
    BadValue,
    ModelNotFound,
    NoRoomForAdapter,
    NotALanguageModel,
    NothingToExport,
    PromptTooLong,
    ServerBusy,
)
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import AdapterRecipe
from tunesmith.worker.serving.adapters import adapter_folder
from tunesmith.worker.serving.endpoints import ENDPOINTS, Completion
from tunesmith.worker.serving.engine import Engine
from tunesmith.worker.serving.loading import load_engine

Load = Callable[..., Engine]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} #{% endfor %}"


@pytest.fixture
def load(tiny_model: Path, tmp_path: Path) -> Iterator[Load]:
    loaded: list[Engine] = []

    def load(**request: Any) -> Engine:
        whole = {"model": str(tiny_model), "device": "cpu", "precision": "fp32", **request}
        loaded.append(load_engine({k: str(v) if isinstance(v, Path) else v for k, v in whole.items()}, tmp_path / "s"))
        return loaded[-1]

    yield load
    for engine in loaded:
        engine.close()


def make_adapter(base: Path, folder: Path, *, strength: float = 0.5, seed: int = 1, **config: Any) -> Path:
    """Write an adapter that was trained by chance: every weight of it is drawn."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    settings = LoraConfig(**{"target_modules": ["q_proj", "v_proj", "down_proj"], "task_type": "CAUSAL_LM", **config})
    torch.manual_seed(seed)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.copy_(torch.randn_like(weight) * strength) if "magnitude" not in name else weight.mul_(1.5)
    model.save_pretrained(folder)
    return folder


def ask(engine: Engine, **body: Any) -> str:
    """Return the likeliest continuation of a prompt."""
    reply = ENDPOINTS["POST", "/v1/completions"](engine, {"prompt": "Hello", "temperature": 0, **body})
    assert isinstance(reply, Completion)
    with reply.answers:
        text = reply.whole()["choices"][0]["text"]
    assert isinstance(text, str)
    return text


def greedy(base: Path, adapter: Path | None, *, prompt: str = "Hello", tokens: int = 16) -> str:
    """Return the same by transformers and PEFT."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    written = model.eval().generate(input_ids=ids, max_new_tokens=tokens, do_sample=False)
    return str(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))


def test_answers_as_transformers_does(load: Load, tiny_model: Path) -> None:
    assert ask(load()) == greedy(tiny_model, None)


def test_an_adapter_answers_who_names_it_and_nobody_else(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    one, two = (make_adapter(tiny_model, tmp_path / f"lora-{seed}", seed=seed) for seed in (1, 2))
    engine = load()
    for folder in (one, None, two, one):
        assert ask(engine, adapter=None if folder is None else str(folder)) == greedy(tiny_model, folder)
    assert ask(engine) == greedy(tiny_model, None)
    assert [row["adapter"] for row in engine.health()["adapters"]] == [str(two), str(one)]
    assert engine.unload(str(one))
    assert not engine.unload(str(one))
    assert ask(engine, adapter=str(one)) == greedy(tiny_model, one)


def test_everybody_who_asks_at_once_hears_their_own_adapter(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    folders = [None, *(make_adapter(tiny_model, tmp_path / f"lora-{seed}", seed=seed) for seed in range(3))]
    alone = [greedy(tiny_model, folder) for folder in folders]
    assert len(set(alone)) == len(alone)
    engine = load(rows=4)
    with ThreadPoolExecutor(12) as pool:
        asked = [folder and str(folder) for _ in range(3) for folder in folders]
        said = list(pool.map(lambda folder: ask(engine, adapter=folder), asked))
    assert said == alone * 3


def test_loading_ahead_proves_that_an_adapter_is_live(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    live = load().load(str(make_adapter(tiny_model, tmp_path / "lora", r=4)))
    assert live["live"]["trained"]
    assert live["live"]["difference"] > 0.01
    assert live["rank"] == 4
    assert live["bytes"] > 0


def test_an_adapter_that_was_not_trained_changes_nothing_and_says_so(
    load: Load, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "lora", strength=0.0)
    engine = load()
    assert engine.load(str(adapter))["live"] == {"trained": False, "difference": 0.0}
    assert ask(engine, adapter=str(adapter)) == greedy(tiny_model, None)


def test_an_adapter_that_is_published_anew_answers_anew(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    folder = make_adapter(tiny_model, tmp_path / "lora", seed=1)
    engine = load()
    before = ask(engine, adapter=str(folder))
    shutil.rmtree(folder)
    make_adapter(tiny_model, folder, seed=2)
    after = ask(engine, adapter=str(folder))
    assert (before == after, after) == (False, greedy(tiny_model, folder))
    assert len(engine.health()["adapters"]) == 1


@pytest.mark.parametrize("config", [{"use_dora": True}, {"modules_to_save": ["lm_head"]}, {"bias": "all"}])
def test_what_cannot_share_a_batch_is_merged(
    load: Load, tiny_model: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "lora", strength=0.2, **config)
    for request in ({"merge": adapter}, {"adapter": adapter}):
        engine = load(**request)
        assert ask(engine) == ask(engine, adapter=None) == greedy(tiny_model, adapter)


def test_the_adapter_of_the_run_answers_who_names_none(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "lora")
    engine = load(adapter=adapter)
    assert ask(engine) == greedy(tiny_model, adapter)
    assert ask(engine, adapter=None) == greedy(tiny_model, None)


def test_a_merged_adapter_that_changes_nothing_is_refused(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "lora", use_dora=False, strength=1e-30)
    with pytest.raises(AdapterNotLive, match="as if it were not there"):
        load(merge=adapter)


def test_an_adapter_brings_its_own_template(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "lora")
    shutil.copyfile(tiny_model / "tokenizer.json", adapter / "tokenizer.json")
    config = json.loads((tiny_model / "tokenizer_config.json").read_text())
    config["chat_template"] = "{% for m in messages %}{{ m.content + eos_token }}{% endfor %}"
    (adapter / "tokenizer_config.json").write_text(json.dumps(config))
    engine = load()
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}

    def prompt_tokens(**more: Any) -> int:
        reply = ENDPOINTS["POST", "/v1/chat/completions"](engine, {**body, **more})
        assert isinstance(reply, Completion)
        return int(reply.whole()["usage"]["prompt_tokens"])

    assert prompt_tokens(adapter=str(adapter)) == len("Hello") + 1 < prompt_tokens()


def test_what_is_no_adapter_of_the_base_is_refused(load: Load, tmp_path: Path, tiny_model: Path) -> None:
    other = make_tiny_model(tmp_path / "other", hidden_size=64, head_dim=16)
    engine = load()
    with pytest.raises(AdapterMismatch):
        engine.load(str(make_adapter(other, tmp_path / "foreign")))
    with pytest.raises(ModelNotFound):
        engine.load(str(tmp_path / "nowhere"))
    with pytest.raises(NotALanguageModel, match="classes"):
        engine.load(str(make_adapter(tiny_model, tmp_path / "classifier", task_type="SEQ_CLS")))
    assert ask(engine) == greedy(tiny_model, None)


def checkpoint_of(home: Path, plan: Plan, weights: dict[str, torch.Tensor]) -> Path:
    """Commit a checkpoint of a training run."""
    run = RunFolder.create(home, kind="train", name="faq", spec=plan.spec, plan=plan)
    with stage(run, 7) as staging:
        save_file(weights, staging.path / "weights.safetensors")
        return staging.commit().path


@pytest.mark.parametrize("place", ["adapter", "merge", "request"])
def test_a_checkpoint_of_an_adapter_answers_as_the_adapter_that_it_holds(
    load: Load, tiny_model: Path, tmp_path: Path, place: str
) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "lora", r=4, lora_alpha=8, target_modules=["v_proj", "down_proj"])
    held = load_file(adapter / "adapter_model.safetensors")
    plan = sample_plan(tmp_path / "out", model=MODEL.model_copy(update={"path": str(tiny_model)}))
    recipe = plan.spec.recipe.model_copy(
        update={"adapter": AdapterRecipe(rank=4, alpha=8, targets=["v_proj", "down_proj"])}
    )
    plan = plan.model_copy(update={"spec": plan.spec.model_copy(update={"recipe": recipe})})
    renamed = {name.replace(".weight", ".default.weight"): weight for name, weight in held.items()}
    checkpoint = checkpoint_of(tmp_path, plan, renamed)
    said = ask(load(), adapter=str(checkpoint)) if place == "request" else ask(load(**{place: checkpoint}))
    assert said == greedy(tiny_model, adapter) != greedy(tiny_model, None)


def test_a_checkpoint_of_a_full_training_answers_with_its_weights(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    trained = make_tiny_model(tmp_path / "trained", initializer_range=0.3)
    weights = load_file(trained / "model.safetensors")
    checkpoint = checkpoint_of(tmp_path, sample_plan(tmp_path / "out"), weights)
    assert ask(load(checkpoint=checkpoint)) == greedy(trained, None) != greedy(tiny_model, None)


def test_a_damaged_checkpoint_is_refused(load: Load, tmp_path: Path) -> None:
    weights = {"model.norm.weight": torch.ones(32)}
    plan = sample_plan(tmp_path / "out")
    checkpoint = checkpoint_of(tmp_path, plan, weights)
    (checkpoint / "weights.safetensors").write_bytes(b"half")
    for request in ({"checkpoint": checkpoint}, {"adapter": checkpoint}):
        with pytest.raises(NothingToExport, match="checkpoint-7 is not whole"):
            load(**request)
    other = checkpoint_of(tmp_path, plan, {"model.norm.weight": torch.ones(64)})
    with pytest.raises(NothingToExport, match="not in its base"):
        load(checkpoint=other)


def test_adapters_leave_for_others_and_come_back_when_asked(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    folders = [make_adapter(tiny_model, tmp_path / f"lora-{seed}", seed=seed) for seed in range(3)]
    size = load().load(str(folders[0]))["bytes"]
    engine = load(adapter_bytes=2 * size)
    for _ in range(2):
        for folder in folders:
            assert ask(engine, adapter=str(folder)) == greedy(tiny_model, folder)
            assert len(engine.health()["adapters"]) <= 2
    with pytest.raises(NoRoomForAdapter):
        load(adapter_bytes=size - 1).load(str(folders[0]))


def test_what_left_for_others_keeps_no_tokenizer(load: Load, tiny_model: Path, tmp_path: Path) -> None:
    folders = [make_adapter(tiny_model, tmp_path / f"lora-{seed}", seed=seed) for seed in range(2)]
    for folder in folders:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tiny_model / name, folder / name)
        (folder / "chat_template.jinja").write_text(TEMPLATE.replace("#", folder.name))
    engine = load(adapter_bytes=load().load(str(folders[0]))["bytes"])
    engine.load(str(folders[0]))
    texts = weakref.ref(engine._adapters.find(str(folders[0])).texts)
    assert ask(engine, adapter=str(folders[1])) == greedy(tiny_model, folders[1])
    gc.collect()
    assert texts() is None


def test_a_checkpoint_that_many_name_at_once_is_written_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[Path] = []
    both = threading.Barrier(2)

    def write(run: RunFolder, checkpoint: Path, target: Path) -> None:
        written.append(target)
        target.mkdir(parents=True)
        (target / "adapter_config.json").write_text("{}")

    def name() -> Path:
        both.wait(10)
        return adapter_folder(checkpoint, tmp_path / "scratch")

    checkpoint = tmp_path / "run" / "checkpoints" / "step-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / MANIFEST).write_text("{}")
    monkeypatch.setattr("tunesmith.worker.serving.adapters.write_adapter_at", write)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(name) for _ in range(2))
        assert first.result() == second.result() == written[0]
    assert len(written) == 1


def test_an_answer_that_pays_for_repeating_itself_repeats_less(load: Load) -> None:
    engine = load()
    body = {"prompt": [1, 2, 3], "max_tokens": 40}
    free = len(set(tokens_of(engine, **body)))
    for name in ("presence_penalty", "frequency_penalty"):
        assert len(set(tokens_of(engine, **body, **{name: 2}))) > free
        assert len(set(tokens_of(engine, **body, **{name: -2}))) == 1


def tokens_of(engine: Engine, **body: Any) -> list[str]:
    """Return the tokens of the likeliest continuation."""
    reply = ENDPOINTS["POST", "/v1/completions"](engine, {"temperature": 0, "logprobs": 0, **body})
    assert isinstance(reply, Completion)
    with reply.answers:
        tokens: list[str] = reply.whole()["choices"][0]["logprobs"]["tokens"]
    return tokens


def test_a_prompt_must_fit_and_its_tokens_must_be_known(load: Load) -> None:
    engine = load()
    with pytest.raises(PromptTooLong, match="sees 512"):
        ask(engine, prompt="x" * 100_000)
    with pytest.raises(BadValue, match="below 259"):
        ask(engine, prompt=[1, 259])
    assert ask(engine, prompt="Hello", max_tokens=0, echo=True) == "Hello"
    assert ask(engine, prompt=[72, 73], max_tokens=0, echo=True) == ask(
        engine, prompt=[[72, 73]], max_tokens=0, echo=True
    )


def test_more_answers_than_may_ever_wait_are_refused_for_good(load: Load) -> None:
    engine = load(rows=1, waiting=2)
    with pytest.raises(BadValue, match="asks for 2 answers at most"):
        ask(engine, n=3)
    assert ask(engine, n=2) == ask(engine)


def test_more_than_may_wait_are_turned_away_for_the_moment(load: Load) -> None:
    engine = load(rows=1, waiting=2)
    body = {"prompt": "Hello", "max_tokens": 400, "n": 2}
    replies = [ENDPOINTS["POST", "/v1/completions"](engine, body)]
    with pytest.raises(ServerBusy):
        replies += [ENDPOINTS["POST", "/v1/completions"](engine, body) for _ in range(2)]
    assert ServerBusy.status == 429
    for reply in replies:
        assert isinstance(reply, Completion)
        reply.answers.close()
