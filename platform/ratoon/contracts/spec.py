"""What a dataset promises: the declaration of a contract."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ratoon.errors import ConfigError
from ratoon.instants import Duration, format_instant

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Names of datasets, models and rules: they become asset keys, table names and file names."""

DType = Literal["int", "float", "bool", "string", "category", "date", "datetime"]
"""int: Int64 · float: Float64 · bool: Boolean · string and category: String in the lake · date: Date · datetime: Datetime("us", "UTC")."""


ColumnName = Annotated[str, Field(pattern=r"^[^_\x00-\x1f][^\x00-\x1f]{0,254}$")]
"""Any text without control characters; a leading underscore is kept for Ratoon's own columns."""

Bound = Annotated[
    int | Annotated[float, Field(allow_inf_nan=False)] | str,
    BeforeValidator(lambda v: v.isoformat() if isinstance(v, date) else v),
]
"""A limit as YAML gives it: a number, or a date or time as text (YAML reads an unquoted date as one)."""


class Strict(BaseModel):
    """Base of every declaration: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Strict):
    """One column of a contract.

    A value that can't be cast to ``type``, a null where ``nullable`` is false, and a value outside the
    range, set or pattern each send the row to quarantine, with every reason that applies. NaN counts as
    null; infinity is never allowed. Of values or keys that occur twice in a batch, the first stays.
    """

    type: DType
    nullable: bool = False
    min: Bound | None = Field(
        None, description="Smallest allowed value (ISO text for dates; UTC unless it names a zone)."
    )
    max: Bound | None = Field(
        None, description="Largest allowed value (ISO text for dates; UTC unless it names a zone)."
    )
    allowed: list[str] | list[int] | None = Field(None, description="The only allowed values.", min_length=1)
    pattern: str | None = Field(None, description="Regular expression that the whole text must match.")
    unique: bool = Field(default=False, description="No value may occur twice within a batch.")
    pii: bool = Field(default=False, description="Personal data: never shown in samples, reports or logs.")
    description: str = ""

    @field_validator("min", "max")
    @classmethod
    def _bound_fits_type(cls, value: Bound | None, info: ValidationInfo) -> Bound | None:
        return value if value is None or "type" not in info.data else _fit_bound(value, info.data["type"])

    @field_validator("allowed")
    @classmethod
    def _allowed_fits_type(
        cls, value: list[str] | list[int] | None, info: ValidationInfo
    ) -> list[str] | list[int] | None:
        return value if value is None or "type" not in info.data else _fit_allowed(value, info.data["type"])

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Self:
        if self.pattern is not None and self.type not in _TEXT:
            raise ValueError(f"pattern is for string and category columns, not for {self.type}")
        if self.min is not None and self.max is not None and _order(self.min) > _order(self.max):
            raise ValueError(f"min {self.min} is greater than max {self.max}: no value could pass")
        return self


class Rule(Strict):
    """A cross-column rule: a SQL expression over the contract's columns that is true for a good row.

    Null counts as true: a rule about a nullable column says nothing about a missing value.
    """

    name: Name
    check: str = Field(examples=["arrival > departure"])
    description: str = ""


class Label(Strict):
    """What a model of this dataset predicts, and how it becomes known."""

    column: ColumnName = Field(description="Name of the label column in the label files.")
    type: Literal["bool", "int", "float", "category"] = "bool"
    delay: Duration = Field(description="Usual time from the event to its label, for example 1d.")
    known_at: ColumnName = Field("known_at", description="Column of the label files: when the label became known.")
    allowed: list[str] | list[int] | None = None

    @field_validator("allowed")
    @classmethod
    def _allowed_fits_type(
        cls, value: list[str] | list[int] | None, info: ValidationInfo
    ) -> list[str] | list[int] | None:
        return value if value is None or "type" not in info.data else _fit_allowed(value, info.data["type"])


class Contract(Strict):
    """What every batch of a dataset must hold."""

    columns: dict[ColumnName, Column] = Field(min_length=1)
    entity_key: list[str] = Field(min_length=1, description="Columns that name one row; unique within a batch.")
    event_time: str = Field(description="Column with the time the row is about (type datetime).")
    rules: list[Rule] = []
    extra_columns: Literal["refuse", "drop"] = Field(
        "refuse", description="What to do with a file that has more columns."
    )
    label: Label | None = None

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        known = set(self.columns)
        missing = [name for name in [*self.entity_key, self.event_time] if name not in known]
        if missing:
            raise ValueError(f"entity_key and event_time name unknown columns {missing}; columns are {sorted(known)}")
        if self.columns[self.event_time].type != "datetime":
            raise ValueError(f"event_time column {self.event_time!r} must have type datetime")
        nullable = [name for name in [*self.entity_key, self.event_time] if self.columns[name].nullable]
        if nullable:
            raise ValueError(f"columns {nullable} name the row and its time, so they can't be nullable")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        # Delta tables hold column names that differ in more than case.
        _refuse_repeated("columns (case aside)", [name.lower() for name in self.columns])
        _refuse_repeated("entity_key", self.entity_key)
        _refuse_repeated("rules", [rule.name for rule in self.rules])
        return self

    @model_validator(mode="after")
    def _label_stands_apart(self) -> Self:
        if self.label is None:
            return self
        if self.label.column in self.columns:
            raise ValueError(f"label column {self.label.column!r} is also a column: labels arrive on their own, later")
        if self.label.known_at in {*self.columns, self.label.column}:
            raise ValueError(
                f"label.known_at {self.label.known_at!r} is also a column: it belongs to the label files only"
            )
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the contract as JSON-ready data; equal contracts give equal data."""
        return self.model_dump(mode="json")


_TEXT = ("string", "category")


def label_contract(contract: Contract) -> Contract:
    """Return the contract of a dataset's label files: entity key, label and the time it became known.

    A label may be corrected: its key is the entity key and the time, so that a later one is a new row.

    Raises:
        ConfigError: The contract declares no label.
    """
    if contract.label is None:
        raise ConfigError("the contract declares no label; add `label: {column: ..., delay: ...}` to take label files")
    label = contract.label
    columns = {name: contract.columns[name].model_copy(update={"unique": False}) for name in contract.entity_key}
    columns[label.column] = Column(type=label.type, allowed=label.allowed)
    columns[label.known_at] = Column(type="datetime")
    return Contract(
        columns=columns,
        entity_key=[*contract.entity_key, label.known_at],
        event_time=label.known_at,
        extra_columns=contract.extra_columns,
    )


def _fit_bound(value: Bound, kind: DType) -> Bound:
    match kind:
        case "int" if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            return int(value)
        case "float" if not isinstance(value, str):
            return float(value)
        case "date" if isinstance(value, str):
            return date.fromisoformat(value).isoformat()
        case "datetime" if isinstance(value, str):
            instant = datetime.fromisoformat(value)
            return format_instant(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    wanted = {"int": "a whole number", "float": "a number", "date": "an ISO date", "datetime": "an ISO time"}
    if kind not in wanted:
        raise ValueError(f"min and max are for numbers and times, not for {kind}")
    raise ValueError(f"{value!r} can't limit a column of type {kind}: write {wanted[kind]}")


def _order(value: Bound) -> float:
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value


def _fit_allowed(value: list[str] | list[int], kind: DType) -> list[str] | list[int]:
    wanted = {"int": int, "string": str, "category": str}.get(kind)
    if wanted is None:
        raise ValueError(f"allowed is for int, string and category columns, not for {kind}")
    if not all(isinstance(item, wanted) for item in value):
        raise ValueError(
            f"allowed values of a {kind} column must be {'numbers' if wanted is int else 'text: put them in quotes'}"
        )
    return value


def _refuse_repeated(where: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{where} name {repeated} more than once")
