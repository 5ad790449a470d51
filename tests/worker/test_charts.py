from __future__ import annotations

from pathlib import Path

from cli.test_progress import EVALUATED, step
from tunesmith.worker.charts import Charts


def test_tensorboard_sees_losses_rate_gradients_speed_and_what_the_task_measures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    charts = Charts(tmp_path)
    charts.add(step(1))
    charts.add(EVALUATED.model_copy(update={"metrics": {"accuracy": 0.75, "perplexity": 2.0}}))
    charts.close()
    seen = EventAccumulator(str(tmp_path))
    seen.Reload()
    assert set(seen.Tags()["scalars"]) == {
        "train/loss", "train/learning_rate", "train/grad_norm", "train/tokens_per_second", "train/epoch",
        "eval/loss", "eval/accuracy", "eval/perplexity",
    }  # fmt: skip
    assert seen.Scalars("eval/accuracy")[0].value == 0.75
