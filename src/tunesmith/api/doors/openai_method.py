"""How a fine-tuning job of `/v1` is to train: a method, and its numbers."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from tunesmith.spec.recipe import Part

SUPERVISED: Final = "supervised"
TASKS: Final = {SUPERVISED: "chat"}
"""Methods that another name stands for here; every other method is called like its task."""
Auto = Literal["auto"]
_OPEN: Final = (None, "auto")


class Hyperparameters(Part):
    """What is tuned by number; auto leaves it to the plan."""

    n_epochs: Annotated[int, Field(ge=1, le=10_000)] | Auto | None = None
    """Passes over the rows."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] | Auto | None = None
    """Rows per step."""
    learning_rate_multiplier: Annotated[float, Field(gt=0, le=1000)] | Auto | None = None
    """Factor on the learning rate that the plan chooses."""
    beta: Annotated[float, Field(gt=0, le=10)] | Auto | None = None
    """Method dpo: how closely the model stays with its base."""

    def typed(self) -> dict[str, float]:
        """Return the numbers that were given."""
        return {name: getattr(self, name) for name in Hyperparameters.model_fields if getattr(self, name) not in _OPEN}


class MethodHyperparameters(Hyperparameters):
    """The numbers of a method, and whatever its kind of data may be set to beside them, such as image_size."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, bool | int | float | str] = Field(init=False)

    @property
    def options(self) -> dict[str, Any]:
        """What is set that only this kind of data has."""
        return dict(self.__pydantic_extra__)


class MethodSettings(Part):
    """Settings of a method."""

    hyperparameters: MethodHyperparameters = MethodHyperparameters()


class Method(Part):
    """How to train: supervised, dpo, or a task such as image_classification; its settings by its name."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, MethodSettings] = Field(init=False)
    type: str = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _only_its_own_settings(self) -> Method:
        for name in self.__pydantic_extra__:
            if name != self.type:
                raise ValueError(f"settings of the method {self.type}, whose name is '{self.type}'")
        return self

    @property
    def hyperparameters(self) -> MethodHyperparameters:
        """Those of the method."""
        return self.__pydantic_extra__.get(self.type, MethodSettings()).hyperparameters

    @property
    def task(self) -> str:
        """The task that the method means, by one of its names."""
        return TASKS.get(self.type, self.type)
