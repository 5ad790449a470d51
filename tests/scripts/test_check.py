from __future__ import annotations

from scripts.check import main, names


def test_every_check_has_a_test_that_shows_it_a_violation(repository):
    tested = {path.stem.removeprefix("test_") for path in (repository / "tests/scripts/checks").glob("test_*.py")}
    assert set(names()) <= tested


def test_refuses_a_check_that_does_not_exist(capsys):
    assert main(["size_budgte"]) == 2
    assert "There is no check 'size_budgte'. Known: " in capsys.readouterr().err
