"""Every error a user can cause, as classes that take facts and write their own sentence: what, where, what to do.

TunesmithError
├── UsageError              exit 2,  HTTP 422   the request itself is off
│   ├── BadValue, Contradiction
│   ├── PromptTooLong
│   └── UnknownName
├── DataError               exit 65, HTTP 422   the data is off
│   ├── DataNotFound, UnreadableData, NoSuchColumn
│   ├── NoUsableRow, NoTaskFits
│   ├── FaultyData
│   ├── SplitImpossible
│   ├── NothingTrained
│   ├── TooMuchLost
│   └── RowFault            one row: MissingColumn, WrongType, EmptyRow, EmptyFile, NoWeight, UnknownFormat,
│                            TemplateRefused, KindRefused
├── ConfigError             exit 78, HTTP 422   model, output, machine or resume do not go together
│   ├── UnknownKey, BadEntry, ContradictingKeys
│   ├── ModelNotFound, NotALanguageModel, WrongKindOfModel, NoChatTemplate, UnreadableFile
│   ├── AdapterMismatch, TokenizerMismatch, NothingToExport, MissingTarget
│   ├── OutputUnusable, OutputBusy, DiskFull
│   ├── WillNotFit, NoSuchDevice, PrecisionUnusable
│   ├── NothingToResume, ResumeDiffers, RunNotFound, RunAmbiguous, WrongRunState
│   ├── DirectoryTaken, NotAModelDirectory, NoLogsYet, NoFreePort
│   ├── PackageMissing, PackageUnusable, PullFailed, Offline
├── RunError                exit 70, HTTP 500   the run failed
│   ├── RunCrashed, ModelGone, NotANumber, OutOfMemory, MergeDiffers
├── ServiceError            exit 78, HTTP 4xx   the service cannot do what was asked
│   ├── Unauthenticated, Forbidden, NotFound, PathNotAllowed
│   ├── Conflict, WrongJobState, KeyReused, LeaseLost
│   ├── QuotaExceeded, TooManyRequests, TooLarge
│   └── DatabaseUnusable, ServerGone, NotInstalled, NotYet
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
    ContinuationDiffers,
    ContradictingKeys,
    DirectoryTaken,
    DiskFull,
    MissingTarget,
    ModelNotFound,
    NoChatTemplate,
    NoFreePort,
    NoLogsYet,
    NoSuchDevice,
    NotALanguageModel,
    NotAModelDirectory,
    NothingToContinue,
    NothingToExport,
    NothingToResume,
    Offline,
    OutputBusy,
    OutputUnusable,
    PackageMissing,
    PackageUnusable,
    PrecisionUnusable,
    PullFailed,
    ResumeDiffers,
    RunAmbiguous,
    RunNotFound,
    TokenizerMismatch,
    UnknownKey,
    UnreadableFile,
    WillNotFit,
    WrongKindOfModel,
    WrongRunState,
)
from tunesmith.spec.errors.data import (
    DataError,
    DataNotFound,
    EmptyFile,
    EmptyRow,
    FaultyData,
    KindRefused,
    MissingColumn,
    NoSuchColumn,
    NoTaskFits,
    NothingTrained,
    NoUsableRow,
    NoWeight,
    RowFault,
    SplitImpossible,
    TemplateRefused,
    TooFewClasses,
    TooMuchLost,
    UnknownFormat,
    UnknownLabel,
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
    MergeDiffers,
    ModelGone,
    NotANumber,
    OutOfMemory,
    Paused,
    Relayed,
    RunCrashed,
    RunError,
)
from tunesmith.spec.errors.service import (
    Broken,
    Conflict,
    DatabaseUnusable,
    Forbidden,
    ForeignHost,
    ForeignOrigin,
    KeyReused,
    KeysNeeded,
    LeaseLost,
    NotFound,
    NotInstalled,
    NotYet,
    PathNotAllowed,
    PortUnusable,
    QuotaExceeded,
    ServerGone,
    ServiceError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    WrongContentType,
    WrongJobState,
)
from tunesmith.spec.errors.usage import (
    BadValue,
    Contradiction,
    PromptTooLong,
    UnknownName,
    UsageError,
)

__all__ = [
    "AdapterMismatch",
    "BadEntry",
    "BadValue",
    "Broken",
    "Cancelled",
    "ConfigError",
    "Conflict",
    "ContinuationDiffers",
    "ContradictingKeys",
    "Contradiction",
    "DataError",
    "DataNotFound",
    "DatabaseUnusable",
    "DirectoryTaken",
    "DiskFull",
    "EmptyFile",
    "EmptyRow",
    "FaultyData",
    "Forbidden",
    "ForeignHost",
    "ForeignOrigin",
    "Interruption",
    "KeyReused",
    "KeysNeeded",
    "KindRefused",
    "LeaseLost",
    "MemoryUsedUp",
    "MergeDiffers",
    "MissingColumn",
    "MissingTarget",
    "ModelGone",
    "ModelNotFound",
    "NoChatTemplate",
    "NoFreePort",
    "NoLogsYet",
    "NoSuchColumn",
    "NoSuchDevice",
    "NoTaskFits",
    "NoUsableRow",
    "NoWeight",
    "NotALanguageModel",
    "NotAModelDirectory",
    "NotANumber",
    "NotFound",
    "NotInstalled",
    "NotYet",
    "NothingToContinue",
    "NothingToExport",
    "NothingToResume",
    "NothingTrained",
    "Offline",
    "OutOfMemory",
    "OutputBusy",
    "OutputUnusable",
    "PackageMissing",
    "PackageUnusable",
    "PathNotAllowed",
    "Paused",
    "PortUnusable",
    "PrecisionUnusable",
    "PromptTooLong",
    "PullFailed",
    "QuotaExceeded",
    "Relayed",
    "ResumeDiffers",
    "RowFault",
    "RunAmbiguous",
    "RunCrashed",
    "RunError",
    "RunNotFound",
    "ServerGone",
    "ServiceError",
    "SplitImpossible",
    "TemplateRefused",
    "TokenizerMismatch",
    "TooFewClasses",
    "TooLarge",
    "TooManyRequests",
    "TooMuchLost",
    "TunesmithError",
    "Unauthenticated",
    "UnknownFormat",
    "UnknownKey",
    "UnknownLabel",
    "UnknownName",
    "UnreadableData",
    "UnreadableFile",
    "UnreadableRow",
    "UsageError",
    "Where",
    "WillNotFit",
    "WrongContentType",
    "WrongJobState",
    "WrongKindOfModel",
    "WrongRunState",
    "WrongType",
    "_shown",
    "did_you_mean",
]
