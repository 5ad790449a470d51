from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from tunesmith.runs.folder import RunFolder
from tunesmith.service.system.charts import HOST, Charts, free_port, runs_into, runs_to_show
from tunesmith.settings import Settings
from tunesmith.spec.errors import NoLogsYet, RunNotFound


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def with_logs(settings: Settings, output: Path, name: str = "faq") -> RunFolder:
    run = RunFolder.create(settings.home, kind="train", name=name, output=output)
    (run.logs_dir / "events").write_text("x")
    return run


def test_the_next_port_is_taken_where_one_is_in_use() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


def test_charts_answer_on_this_machine_while_they_are_entered(settings: Settings, tmp_path: Path) -> None:
    run = with_logs(settings, tmp_path / "lora")
    with Charts([run], port=free_port(26_006)) as charts:
        assert charts.wait_until_ready()
        with urllib.request.urlopen(f"http://{HOST}:{charts.port}/data/plugins_listing", timeout=20) as answer:
            assert b"scalars" in answer.read()
        listening = {
            connection.laddr.ip
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == charts.port
        }
        assert listening == {HOST}
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, charts.port)) != 0


def test_charts_end_with_the_process_that_started_them(settings: Settings, tmp_path: Path) -> None:
    with_logs(settings, tmp_path / "lora")
    program = (
        "import sys, time; from pathlib import Path; from tunesmith.settings import Settings\n"
        "from tunesmith.service.system.charts import Charts, runs_into\n"
        "with Charts(runs_into(Settings(home=Path(sys.argv[1])), Path(sys.argv[2])), port=26106) as charts:\n"
        "    print(charts._process.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(settings.home), str(tmp_path / "lora")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        charts = psutil.Process(int(starter.stdout.readline()))
        os.kill(starter.pid, signal.SIGKILL)
        charts.wait(timeout=60)
    assert not charts.is_running()


def test_the_runs_of_an_output_of_a_model_directory_or_of_a_name_are_shown(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    for name in (".install_complete", "model_info.json"):
        (tmp_path / "it" / name).write_text("{}")
    first = with_logs(settings, tmp_path / "it" / "lora", "first")
    second = with_logs(settings, tmp_path / "it" / "custom", "second")
    third = with_logs(settings, tmp_path / "else", "third")
    assert {run.id for run in runs_to_show(settings, None)} == {first.id, second.id, third.id}
    assert {run.id for run in runs_to_show(settings, str(tmp_path / "it"))} == {first.id, second.id}
    assert runs_to_show(settings, str(tmp_path / "it" / "custom")) == [second]
    assert runs_to_show(settings, "third") == [third]
    assert runs_into(settings, tmp_path / "else") == [third]


def test_without_logs_there_is_nothing_to_show(settings: Settings, tmp_path: Path) -> None:
    RunFolder.create(settings.home, kind="train", name="bare", output=tmp_path / "bare")
    for reference in (None, str(tmp_path / "bare"), str(tmp_path / "nowhere"), "bare"):
        with pytest.raises(NoLogsYet) as caught:
            runs_to_show(settings, reference)
        assert caught.value.exit_code == 1
    with pytest.raises(RunNotFound):
        runs_to_show(settings, "nobody")
