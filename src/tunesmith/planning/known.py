"""Everything that a choice may look at."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.modalities.base import Family
from tunesmith.planning.by_task import TaskDefaults, defaults_of
from tunesmith.planning.choices import Choices
from tunesmith.spec.job import JobSpec
from tunesmith.spec.modes import MODES, Mode
from tunesmith.spec.plan import DataFacts, DeviceFacts, ModelFacts
from tunesmith.spec.recipe import Recipe


@dataclass(frozen=True)
class Known:
    """The job, what is known of the world, and the record of what was chosen."""

    spec: JobSpec
    model: ModelFacts
    device: DeviceFacts
    data: DataFacts
    family: Family
    choices: Choices
    task: str = ""
    """The task's name, once it is chosen."""

    @property
    def recipe(self) -> Recipe:
        """What was typed of the recipe."""
        return self.spec.recipe

    @property
    def mode(self) -> Mode:
        """The preset that fills in what is open."""
        return MODES[self.spec.recipe.mode]

    @property
    def by_task(self) -> TaskDefaults:
        """How the task departs from chat tuning."""
        return defaults_of(self.task)

    @property
    def kin(self) -> str:
        """The model's family, or its own type where no family names it."""
        return f"{self.family.name if self.family.model_types else self.model.model_type} models"

    def typed(self, *path: str) -> bool:
        """Whether a field of the recipe was given, and not left at its default."""
        part = self.spec.recipe
        for name in path:
            if name not in part.model_fields_set:
                return False
            part = getattr(part, name)
        return part is not None
