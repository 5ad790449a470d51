from __future__ import annotations

from pathlib import Path

import pytest

from cli.test_progress import EVALUATED, step
from tunesmith.worker.charts import Charts, draw_history


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


@pytest.mark.parametrize("counts", ["token", "text", "pair"])
def test_the_picture_says_what_the_loss_is_a_mean_over(counts: str, tmp_path: Path) -> None:
    draw_history(tmp_path / "history.svg", [(1, 2.0), (2, 1.0)], [(0, None, 2.0), (2, 1.5, 1.8)], "a run", counts)
    assert f"loss (nats per {counts})" in (tmp_path / "history.svg").read_text()
