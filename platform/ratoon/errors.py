"""Every error that Ratoon raises.

::

    RatoonError                 code, retryable, message (what, which object, expected, next step)
    ├── ConfigError             RT-CONFIG     a declaration or setting is wrong
    │   └── DeclarationError    RT-DECLARE    ... in a project's YAML, with file, line and key
    ├── DataError               RT-DATA       data breaks its contract as a whole
    │   ├── UnreadableFileError RT-UNREADABLE a file can't be parsed
    │   ├── SchemaMismatchError RT-SCHEMA     a file has other columns than its contract
    │   ├── LimitExceededError  RT-LIMIT      a file or frame is larger than allowed
    │   └── EmptyWindowError    RT-EMPTY      a window holds no usable rows
    ├── TrainingError           RT-TRAIN      a training or its features failed
    ├── RegistryError           RT-REGISTRY
    │   ├── NotFoundError       RT-NOTFOUND   no such model, version, batch, artifact ...
    │   └── CorruptArtifactError RT-CORRUPT   bytes do not hash to their digest
    ├── LedgerError             RT-LEDGER
    │   ├── FencedError         RT-FENCED     the work was taken over: stop at once
    │   └── ConflictError       RT-CONFLICT   a compare-and-set lost   (retryable)
    ├── RefusedError            RT-REFUSED    a guard or gate refuses what was asked (exit code 3)
    ├── StackError              RT-STACK      the embedded stack can't start or run
    └── BackendError            RT-BACKEND    a database, broker or store failed   (retryable)
"""

from typing import Any, ClassVar

_MAX_MESSAGE = 2_000


class RatoonError(Exception):
    """Root of every error that Ratoon raises on purpose.

    Args:
        message: What happened, to which object, what was expected, and what to do next.
    """

    code: ClassVar[str] = "RT-ERROR"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "") -> None:
        self.message = message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.code} {self.message}"

    def to_record(self) -> dict[str, Any]:
        """Return the error as JSON-ready data: pickled exceptions lose fields on the way through Celery."""
        return {"code": self.code, "retryable": self.retryable, "message": self.message}


class ConfigError(RatoonError):
    """A declaration or a setting is wrong."""

    code = "RT-CONFIG"


class DeclarationError(ConfigError):
    """A project's YAML is wrong at a known place.

    Args:
        message: What is wrong and what was expected.
        file: Path of the document.
        line: 1-based line, or 0 when the whole file is meant.
        key: Dotted path of the key.
    """

    code = "RT-DECLARE"

    def __init__(self, message: str = "", file: str = "", line: int = 0, key: str = "") -> None:
        self.file, self.line, self.key, self.reason = file, line, key, message
        place = f"{file}:{line}" if line else file
        super().__init__(": ".join(part for part in (place, key, message) if part))

    def to_record(self) -> dict[str, Any]:
        """Return the error as JSON-ready data, with its place."""
        return super().to_record() | {"file": self.file, "line": self.line, "key": self.key, "reason": self.reason}


class DataError(RatoonError):
    """Data breaks its contract as a whole, so that no row of it can be taken."""

    code = "RT-DATA"


class UnreadableFileError(DataError):
    """A file can't be parsed in its format."""

    code = "RT-UNREADABLE"


class SchemaMismatchError(DataError):
    """A file has other columns than its contract."""

    code = "RT-SCHEMA"


class LimitExceededError(DataError):
    """A file or a frame is larger than its limits allow."""

    code = "RT-LIMIT"


class EmptyWindowError(DataError):
    """A window holds no usable rows."""

    code = "RT-EMPTY"


class TrainingError(RatoonError):
    """A training, or the feature function it calls, failed."""

    code = "RT-TRAIN"


class RegistryError(RatoonError):
    """A model, version, batch or artifact is not as the ledger says."""

    code = "RT-REGISTRY"


class NotFoundError(RegistryError):
    """No object of that name or id exists."""

    code = "RT-NOTFOUND"


class CorruptArtifactError(RegistryError):
    """Stored bytes do not hash to the digest that names them."""

    code = "RT-CORRUPT"


class LedgerError(RatoonError):
    """A write would break a rule of the ledger."""

    code = "RT-LEDGER"


class FencedError(LedgerError):
    """The work was taken over, cancelled or ended by somebody else: the holder must stop at once."""

    code = "RT-FENCED"


class ConflictError(LedgerError):
    """A compare-and-set lost against a concurrent write."""

    code = "RT-CONFLICT"
    retryable = True


class RefusedError(RatoonError):
    """A guard or a gate refuses what was asked; nothing changed."""

    code = "RT-REFUSED"


class StackError(RatoonError):
    """The embedded stack can't start or keep running."""

    code = "RT-STACK"


class BackendError(RatoonError):
    """A database, a broker or a store failed in a way that may pass."""

    code = "RT-BACKEND"
    retryable = True
