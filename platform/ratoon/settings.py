"""Where Ratoon keeps its state and which servers it talks to: the file ``ratoon.toml`` and the environment."""

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ratoon.errors import ConfigError
from ratoon.project.layout import find_project

SHORT_FOLDER = Path("/tmp")  # noqa: S108 - what is made in it is private, and its owner is checked
"""Where a folder for sockets is made when a home's own path is too long."""

WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105 - says what follows, and is none itself

_LONGEST_SOCKET_PATH = 103
_WEBHOOK_KEY_BYTES = range(24, 65)
_POSTGRES_SCHEMES = ("postgres://", "postgresql://")


def _split_words(value: Any) -> Any:
    """Return the words of a text, as a variable of the environment holds them; JSON lists are read, too."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else value.split()


Words = Annotated[list[str], NoDecode, BeforeValidator(_split_words)]
"""A list of texts without blanks; in a variable also written with blanks between them."""


class Settings(BaseSettings):
    """One project's settings: arguments win over ``RATOON_*`` variables, and these over ``ratoon.toml``.

    Durations end in ``_s`` and are seconds; memory is in MiB. Relative paths are relative to the project.
    """

    model_config = SettingsConfigDict(env_prefix="RATOON_", extra="forbid", frozen=True, validate_default=True)

    project: Path = Field(description="The project's folder.")
    home: Path = Field(Path(".ratoon"), description="Folder that holds all state.")
    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL of the ledger; none: SQLite in the home.",
        repr=False,
    )
    broker_url: str | None = Field(
        None,
        description="Celery broker URL; none: an embedded Valkey in the home.",
        repr=False,
    )
    store_url: str | None = Field(None, description="s3://bucket/prefix for lake and artifacts; none: the home.")
    storage_options: dict[str, str] = Field({}, description="Credentials and options of the store.", repr=False)
    clock: Literal["wall", "event"] = Field("wall", description="event: decide as of the event's time (a replay).")
    lease_s: float = Field(60, gt=0, description="A worker that is silent for so long has lost its work.")
    sweep_s: float = Field(
        1,
        gt=0,
        description="Time between two runs of the outbox relay and the reconciler.",
    )
    train_concurrency: int = Field(1, ge=1, description="Trainings that one worker runs at once.")
    train_threads: int | None = Field(None, ge=1, description="Threads of one trainer; none: cores / concurrency.")
    train_memory_mb: int | None = Field(None, ge=64, description="A trainer above this is killed; none: no limit.")
    max_attempts: int = Field(3, ge=1, description="Most attempts of one retrain.")
    webserver_port: int = Field(3000, ge=1, le=65_535, description="Port of the Dagster UI on 127.0.0.1.")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Port of the Prometheus metrics on 127.0.0.1; 0: none.")
    alert_urls: Words = Field([], description="Apprise URLs that alerts go to: slack://..., mailto://...", repr=False)
    webhook_urls: Words = Field(
        [], description="http(s) URLs that alerts are posted to; signed, so they need webhook_secrets.", repr=False
    )
    webhook_secrets: Words = Field(
        [], description="whsec_ and base64; several while receivers change theirs: each signs.", repr=False
    )
    alert_severity: Literal["info", "warning", "critical"] = Field(
        "warning", description="Milder alerts are listed, not sent."
    )
    alert_window_s: float = Field(
        30, ge=0, description="Time for which the alerts of one incident are gathered into one message."
    )

    @field_validator("alert_urls")
    @classmethod
    def _know_apprise_urls(cls, urls: list[str]) -> list[str]:
        if not all("://" in url for url in urls):
            raise ValueError("expected apprise URLs with a scheme, for example mailto://user:password@example.com")
        return urls

    @field_validator("webhook_urls")
    @classmethod
    def _know_webhook_urls(cls, urls: list[str]) -> list[str]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
                raise ValueError("expected http or https URLs with a host and without a user")
        return urls

    @field_validator("webhook_secrets")
    @classmethod
    def _know_webhook_secrets(cls, secrets: list[str]) -> list[str]:
        for secret in secrets:
            try:
                key = base64.b64decode(secret.removeprefix(WEBHOOK_SECRET_PREFIX), validate=True)
            except binascii.Error:
                key = b""
            if not secret.startswith(WEBHOOK_SECRET_PREFIX) or len(key) not in _WEBHOOK_KEY_BYTES:
                raise ValueError("expected whsec_ and the base64 of 24 to 64 random bytes")
        return secrets

    @model_validator(mode="before")
    @classmethod
    def _resolve_paths(cls, values: dict[str, Any]) -> dict[str, Any]:
        if "project" not in values:
            return values
        project = Path(values["project"]).expanduser().resolve()
        home = Path(values.get("home") or ".ratoon").expanduser()
        return values | {
            "project": project,
            "home": Path(os.path.abspath(project / home)),  # noqa: PTH100 - links stay
        }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the project's ``ratoon.toml``."""
        project = init_settings().get("project")
        if project is None:
            return init_settings, env_settings
        toml = TomlConfigSettingsSource(settings_cls, toml_file=Path(project).expanduser() / "ratoon.toml")
        return init_settings, env_settings, toml

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger; a plain PostgreSQL URL gets the driver that Ratoon ships."""
        if self.database_url is None:
            return f"sqlite:///{self.home / 'ledger.db'}"
        for scheme in _POSTGRES_SCHEMES:
            if self.database_url.startswith(scheme):
                return f"postgresql+psycopg2://{self.database_url.removeprefix(scheme)}"
        return self.database_url

    @property
    def resolved_broker_url(self) -> str:
        """Celery URL of the broker, the embedded one's unless another is set."""
        return self.broker_url or f"redis+socket://{quote(str(self.broker_socket))}"

    @property
    def runtime_dir(self) -> Path:
        """Folder of the sockets: in the home, or a short one under ``/tmp`` where the home's path is too long."""
        natural = self.home / "broker"
        if len(os.fsencode(natural / "valkey.sock")) <= _LONGEST_SOCKET_PATH:
            return natural
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return SHORT_FOLDER / f"ratoon-{os.getuid()}-{digest}"

    @property
    def broker_socket(self) -> Path:
        """Unix socket of the embedded broker."""
        return self.runtime_dir / "valkey.sock"

    @property
    def lake_url(self) -> str:
        """Folder or URL of the Delta tables."""
        return self._stored("lake")

    @property
    def artifacts_url(self) -> str:
        """Folder or URL of the artifacts."""
        return self._stored("artifacts")

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder."""
        return self.home / "dagster"

    @property
    def inbox(self) -> Path:
        """Folder in which relative landing folders lie."""
        return self.home / "inbox"

    @property
    def logs(self) -> Path:
        """Folder of the logs; ``logs/retrains/<retrain id>.log`` is a trainer's own."""
        return self.home / "logs"

    @property
    def threads(self) -> int:
        """Threads that one trainer may use."""
        return self.train_threads or max(1, _usable_cores() // self.train_concurrency)

    def to_env(self) -> dict[str, str]:
        """Return the ``RATOON_*`` variables from which another process builds equal settings."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {f"RATOON_{name.upper()}": _as_text(value) for name, value in values.items()}

    def _stored(self, part: str) -> str:
        return str(self.home / part) if self.store_url is None else f"{self.store_url.rstrip('/')}/{part}"


def load_settings(project: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings of a project.

    Args:
        project: The project's folder; by default ``RATOON_PROJECT``, else the project that the working
            directory lies in.
        **overrides: Fields that win over the environment and the file; ``None`` means: not given.

    Raises:
        ConfigError: There is no project, or a setting is wrong; the message names each one.
    """
    named = project or os.environ.get("RATOON_PROJECT")
    root = Path(named) if named else find_project(Path.cwd())
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(project=root, **given)
    except ValidationError as exc:
        raise ConfigError(_explain(exc, root)) from exc
    except ValueError as exc:
        raise ConfigError(
            f"settings of {root} can't be read: {exc}; correct ratoon.toml or the RATOON_* variable"
        ) from exc


def _explain(error: ValidationError, root: Path) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown setting {name!r}; settings are {', '.join(sorted(Settings.model_fields))}")
        elif problem["loc"] and _may_be_shown(str(problem["loc"][0])):
            lines.append(f"{name} = {problem['input']!r}: {problem['msg']}")
        else:
            lines.append(f"{name}: {problem['msg']}" if name else problem["msg"])
    listed = "; ".join(lines)
    return f"settings of {root} are wrong: {listed}. Correct ratoon.toml or the variable RATOON_<NAME>"


def _may_be_shown(name: str) -> bool:
    """Say whether a setting's value may stand in a message; those that can hold a password may not."""
    return name in Settings.model_fields and Settings.model_fields[name].repr


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
