"""Pictures drawn of the same prompts with the same seeds before, during and after training, in the run's folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tunesmith.spec.events import Body, Evaluated, Phase, Picture, Step
from tunesmith.spec.examples import CaptionedImage
from tunesmith.worker.keeping import lineage

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.spec.examples import Example
    from tunesmith.spec.plan import Plan
    from tunesmith.worker.reporting import Reporter

FOLDER: Final = "pictures"
CAPTIONS: Final = 2
"""Captions of pictures held out that are drawn where no prompts are given, at most."""
When = Literal["before", "during", "after"]


class Pictures:
    """What a run draws, and when."""

    def __init__(
        self, run: RunFolder, plan: Plan, pieces: Any, held_out: Sequence[Example], reporter: Reporter
    ) -> None:
        options = plan.spec.options
        self._run = run
        self._artist = pieces.artist
        self._keeps_base = pieces.keeps_base
        self._validates = pieces.validation is not None
        self._reporter = reporter
        self._prompts = _prompts(plan, held_out)
        self._seeds = [plan.spec.seed + place for place in range(len(self._prompts))]
        self._steps = int(options.get("sample_steps", 20))
        self._every = options.get("sample_every")
        self._passes = 0

    def before(self) -> None:
        """Draw with the base model; a run that resumes another takes its drawings over."""
        taken = [self._of_parents(place) for place in range(len(self._prompts))]
        if all(taken) and taken:
            for place, found in enumerate(taken):
                assert found is not None
                shutil.copyfile(found, self._file("before", 0, place))
                self._tell("before", 0, place)
            return
        self._draw("before", 0, base=True)

    def see(self, body: Body) -> None:
        """Draw where what the loop says makes it due."""
        if isinstance(body, Step):
            ended, self._passes = int(body.epoch) > self._passes, int(body.epoch)
            due = body.step % self._every == 0 if self._every else ended and not self._validates
            if due:
                self._draw("during", body.step)
        elif isinstance(body, Evaluated) and self._every is None and body.number:
            self._draw("during", body.step)

    def after(self, step: int) -> None:
        """Draw with the weights of the result."""
        self._draw("after", step)

    def _draw(self, when: When, step: int, *, base: bool = False) -> None:
        if not self._prompts:
            return
        if when != "during":
            self._reporter.say(Phase(name=f"drawing pictures {when} training"))
        made = self._artist.draw(self._prompts, seeds=self._seeds, steps=self._steps, base=base)
        for place, picture in enumerate(made):
            self._file(when, step, place).write_bytes(picture)
            self._tell(when, step, place)

    def _tell(self, when: When, step: int, place: int) -> None:
        file = self._file(when, step, place).relative_to(self._run.path).as_posix()
        prompt, seed = self._prompts[place], self._seeds[place]
        self._reporter.say(Picture(when=when, step=step, prompt=prompt, seed=seed, file=file))

    def _file(self, when: When, step: int, place: int) -> Path:
        folder = self._run.path / FOLDER
        folder.mkdir(exist_ok=True)
        name = f"step-{step:06}" if when == "during" else when
        return folder / f"{name}-{place + 1}.png"

    def _of_parents(self, place: int) -> Path | None:
        files = (parent.path / FOLDER / f"before-{place + 1}.png" for parent in lineage(self._run)[1:])
        return next((file for file in files if file.is_file()), None)


def _prompts(plan: Plan, held_out: Sequence[Example]) -> list[str]:
    typed = plan.spec.options.get("sample_prompts")
    if typed is not None:
        return [str(prompt) for prompt in typed]
    captions = [example.caption for example in held_out if isinstance(example, CaptionedImage)]
    count = min(CAPTIONS, plan.spec.evaluation.test_prompts)
    return list(dict.fromkeys([*plan.spec.evaluation.prompts, *captions[:count]]))
