"""Every error a user can cause, as classes that take facts and write their own sentence: what, where, what to do.

TunesmithError
├── UsageError              exit 2,  HTTP 422   the request itself is off
│   ├── BadValue, Contradiction
│   ├── PromptTooLong, MessagesRefused, NotServed
│   └── UnknownName
├── DataError               exit 65, HTTP 422   the data is off
│   ├── DataNotFound, UnreadableData, NoSuchColumn
│   ├── NoUsableRow, NoTaskFits, NoAnswerToLearn, TooFewAnswers
│   ├── FaultyData
│   ├── SplitImpossible
│   ├── NothingTrained
│   ├── TooMuchLost
│   └── RowFault            one row: MissingColumn, WrongType, EmptyRow, EmptyFile, NoWeight, UnknownFormat,
│                            TemplateRefused, KindRefused
├── ConfigError             exit 78, HTTP 422   model, output, machine or resume do not go together
│   ├── UnknownKey, BadEntry, ContradictingKeys
│   ├── ModelNotFound, NotALanguageModel, WrongKindOfModel, NoChatTemplate, UnreadableFile
│   ├── AdapterNotLive, AdapterNotPerRow
│   ├── AdapterMismatch, TokenizerMismatch, NothingToExport, MissingTarget
│   ├── OutputUnusable, OutputBusy, OutputLocked, DiskFull
│   ├── WillNotFit, NoSuchDevice, PrecisionUnusable
│   ├── NothingToResume, ResumeDiffers, GoesOnFromNewest, RunNotFound, RunAmbiguous, WrongRunState
│   ├── DirectoryTaken, NotAModelDirectory, NoLogsYet, NoFreePort
│   ├── PackageMissing, PackageUnusable, PullFailed, Offline
├── RunError                exit 70, HTTP 500   the run failed
│   ├── RunCrashed, RunAbandoned, NotANumber, OutOfMemory, MergeDiffers
│   ├── SubtaskTooSlow, SubtaskDied
├── ServingError            exit 70, HTTP 503   a model cannot answer
│   ├── ModelGone, ModelNotReady, ModelTooLarge, AdapterTooLarge
├── ServiceError            exit 78, HTTP 4xx   the service cannot do what was asked
│   ├── Unauthenticated, Forbidden, NotFound, PathNotAllowed
│   ├── Conflict, WrongJobState, KeyReused, LeaseLost
│   ├── QuotaExceeded, TooManyRequests, TooLarge
│   ├── ServerBusy, AdapterNotLoaded, NoRoomForAdapter
│   ├── OffsetDiffers, UploadGone, UploadBusy, ChecksumDiffers, WrongProtocol, ArchiveRefused
│   └── DatabaseUnusable, ServerGone, NotInstalled, NotYet
└── Interruption            the run was asked to end: Paused, Overtaken (exit 75), Cancelled (exit 76)
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
    GoesOnFromNewest,
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
    OutputLocked,
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
    NoAnswerToLearn,
    NoSuchColumn,
    NoTaskFits,
    NothingTrained,
    NoUsableRow,
    NoWeight,
    RowFault,
    SplitImpossible,
    TemplateRefused,
    TooFewAnswers,
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
from tunesmith.spec.errors.generation import (
    AdapterNotLive,
    AdapterNotLoaded,
    AdapterNotPerRow,
    NoRoomForAdapter,
    ServerBusy,
)
from tunesmith.spec.errors.running import (
    Cancelled,
    Interruption,
    MemoryUsedUp,
    MergeDiffers,
    NotANumber,
    OutOfMemory,
    Overtaken,
    Paused,
    Relayed,
    RunAbandoned,
    RunCrashed,
    RunError,
    SubtaskDied,
    SubtaskTooSlow,
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
from tunesmith.spec.errors.serving import (
    AdapterTooLarge,
    ModelGone,
    ModelNotReady,
    ModelTooLarge,
    ServingError,
)
from tunesmith.spec.errors.uploads import (
    ArchiveRefused,
    ChecksumDiffers,
    OffsetDiffers,
    UploadBusy,
    UploadGone,
    WrongProtocol,
)
from tunesmith.spec.errors.usage import (
    BadValue,
    Contradiction,
    MessagesRefused,
    NotServed,
    PromptTooLong,
    UnknownName,
    UsageError,
)

__all__ = [
    "AdapterMismatch",
    "AdapterNotLive",
    "AdapterNotLoaded",
    "AdapterNotPerRow",
    "AdapterTooLarge",
    "ArchiveRefused",
    "BadEntry",
    "BadValue",
    "Broken",
    "Cancelled",
    "ChecksumDiffers",
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
    "GoesOnFromNewest",
    "Interruption",
    "KeyReused",
    "KeysNeeded",
    "KindRefused",
    "LeaseLost",
    "MemoryUsedUp",
    "MergeDiffers",
    "MessagesRefused",
    "MissingColumn",
    "MissingTarget",
    "ModelGone",
    "ModelNotFound",
    "ModelNotReady",
    "ModelTooLarge",
    "NoAnswerToLearn",
    "NoChatTemplate",
    "NoFreePort",
    "NoLogsYet",
    "NoRoomForAdapter",
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
    "NotServed",
    "NotYet",
    "NothingToContinue",
    "NothingToExport",
    "NothingToResume",
    "NothingTrained",
    "Offline",
    "OffsetDiffers",
    "OutOfMemory",
    "OutputBusy",
    "OutputLocked",
    "OutputUnusable",
    "Overtaken",
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
    "RunAbandoned",
    "RunAmbiguous",
    "RunCrashed",
    "RunError",
    "RunNotFound",
    "ServerBusy",
    "ServerGone",
    "ServiceError",
    "ServingError",
    "SplitImpossible",
    "SubtaskDied",
    "SubtaskTooSlow",
    "TemplateRefused",
    "TokenizerMismatch",
    "TooFewAnswers",
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
    "UploadBusy",
    "UploadGone",
    "UsageError",
    "Where",
    "WillNotFit",
    "WrongContentType",
    "WrongJobState",
    "WrongKindOfModel",
    "WrongProtocol",
    "WrongRunState",
    "WrongType",
    "_shown",
    "did_you_mean",
]
