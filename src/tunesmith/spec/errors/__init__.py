"""Every error a user can cause, as classes that take facts and write their own sentence: what, where, what to do.

TunesmithError
├── UsageError              exit 2,  HTTP 422   the request itself is off
│   ├── BadValue
│   ├── PromptTooLong
│   └── UnknownName
├── DataError               exit 65, HTTP 422   the data is off
│   ├── DataNotFound, UnreadableData
│   ├── NoUsableRow
│   ├── FaultyData
│   ├── SplitImpossible
│   ├── NothingTrained
│   ├── TooMuchLost
│   └── RowFault            one row: MissingColumn, WrongType, EmptyRow, UnknownFormat, UnreadableRow,
│                            TemplateRefused
├── ConfigError             exit 78, HTTP 422   model, output, machine or resume do not go together
│   ├── UnknownKey, BadEntry
│   ├── ModelNotFound, NotALanguageModel, NoChatTemplate, UnreadableFile
│   ├── AdapterMismatch, MissingTarget
│   ├── OutputUnusable, OutputBusy, DiskFull
│   ├── WillNotFit, NoSuchDevice
│   ├── NothingToResume, ResumeDiffers, RunNotFound, RunAmbiguous, WrongRunState
│   ├── PackageMissing, PullFailed, Offline
├── RunError                exit 70, HTTP 500   the run failed
│   ├── RunCrashed, ModelGone, NotANumber, OutOfMemory
└── Interruption            the run was asked to end: Paused (exit 75), Cancelled (exit 76)
"""

from tunesmith.spec.errors.base import (
    TunesmithError,
    did_you_mean,
)
from tunesmith.spec.errors.configuration import (
    AdapterMismatch,
    BadEntry,
    ConfigError,
    DiskFull,
    MissingTarget,
    ModelNotFound,
    NoChatTemplate,
    NoSuchDevice,
    NotALanguageModel,
    NothingToResume,
    Offline,
    OutputBusy,
    OutputUnusable,
    PackageMissing,
    PullFailed,
    ResumeDiffers,
    RunAmbiguous,
    RunNotFound,
    UnknownKey,
    UnreadableFile,
    WillNotFit,
    WrongRunState,
)
from tunesmith.spec.errors.data import (
    DataError,
    DataNotFound,
    EmptyRow,
    FaultyData,
    MissingColumn,
    NothingTrained,
    NoUsableRow,
    RowFault,
    SplitImpossible,
    TemplateRefused,
    TooMuchLost,
    UnknownFormat,
    UnreadableData,
    UnreadableRow,
    Where,
    WrongType,
    _shown,
)
from tunesmith.spec.errors.running import (
    Cancelled,
    Interruption,
    MemoryUsedUp,
    ModelGone,
    NotANumber,
    OutOfMemory,
    Paused,
    Relayed,
    RunCrashed,
    RunError,
)
from tunesmith.spec.errors.usage import (
    BadValue,
    PromptTooLong,
    UnknownName,
    UsageError,
)

__all__ = [
    "AdapterMismatch",
    "BadEntry",
    "BadValue",
    "Cancelled",
    "ConfigError",
    "DataError",
    "DataNotFound",
    "DiskFull",
    "EmptyRow",
    "FaultyData",
    "Interruption",
    "MemoryUsedUp",
    "MissingColumn",
    "MissingTarget",
    "ModelGone",
    "ModelNotFound",
    "NoChatTemplate",
    "NoSuchDevice",
    "NoUsableRow",
    "NotALanguageModel",
    "NotANumber",
    "NothingToResume",
    "NothingTrained",
    "Offline",
    "OutOfMemory",
    "OutputBusy",
    "OutputUnusable",
    "PackageMissing",
    "Paused",
    "PromptTooLong",
    "PullFailed",
    "Relayed",
    "ResumeDiffers",
    "RowFault",
    "RunAmbiguous",
    "RunCrashed",
    "RunError",
    "RunNotFound",
    "SplitImpossible",
    "TemplateRefused",
    "TooMuchLost",
    "TunesmithError",
    "UnknownFormat",
    "UnknownKey",
    "UnknownName",
    "UnreadableData",
    "UnreadableFile",
    "UnreadableRow",
    "UsageError",
    "Where",
    "WillNotFit",
    "WrongRunState",
    "WrongType",
    "_shown",
    "did_you_mean",
]
