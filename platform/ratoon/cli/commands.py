"""The commands: what each is called, in which group help shows it, and where it is written."""

from dataclasses import dataclass
from typing import Literal

from cyclopts import App, Group, Parameter

from ratoon import __version__

_EXIT_CODES = "Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 refused by a guard or gate."

_GROUPS = {
    "project": Group("Project", sort_key=0),
    "run": Group("Run", sort_key=1),
    "ask": Group("Ask", sort_key=2),
    "steer": Group("Steer", sort_key=3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        name: What people type.
        group: Where help lists it.
        target: ``module:function`` below ``ratoon.cli``; imported when the command runs or is asked for help.
        summary: One line.
        examples: Command lines that show it.
    """

    name: str
    group: Literal["project", "run", "ask", "steer"]
    target: str
    summary: str
    examples: tuple[str, ...]


COMMANDS = (
    Command(
        name="init",
        group="project",
        target="projects:init",
        summary="Write a small project that runs.",
        examples=("ratoon init my-project",),
    ),
    Command(
        name="check",
        group="project",
        target="projects:check",
        summary="Say everything that is wrong with a project, by file, line and key.",
        examples=("ratoon check", "ratoon check --project my-project --json"),
    ),
    Command(
        name="schema",
        group="project",
        target="projects:schema",
        summary="Write the JSON Schemas that editors complete from.",
        examples=("ratoon schema",),
    ),
    Command(
        name="up",
        group="run",
        target="running:up",
        summary="Start the stack, watch it, and stop it on Ctrl-C.",
        examples=("ratoon up", "ratoon up --fresh"),
    ),
    Command(
        name="demo",
        group="run",
        target="running:demo",
        summary="Let the year 2013 of New York flights go through the loop.",
        examples=("ratoon demo", "ratoon demo --exit"),
    ),
    Command(
        name="replay",
        group="run",
        target="running:replay",
        summary="Let stored files arrive one after the other, each as of its own time.",
        examples=("ratoon replay ./history",),
    ),
    Command(
        name="status",
        group="ask",
        target="asking:status",
        summary="Show models, datasets and the stack.",
        examples=("ratoon status", "ratoon status --json"),
    ),
    Command(
        name="why",
        group="ask",
        target="asking:why",
        summary="Say why a model was retrained, or why not.",
        examples=("ratoon why late_arrivals", "ratoon why late_arrivals --limit 20"),
    ),
    Command(
        name="report",
        group="ask",
        target="reporting:report",
        summary="Write a model's monitoring as one HTML page.",
        examples=("ratoon report late_arrivals --open", "ratoon report late_arrivals --out late.html"),
    ),
    Command(
        name="lineage",
        group="ask",
        target="asking:lineage",
        summary="Show what stands behind a model's version, from files to predictions.",
        examples=("ratoon lineage late_arrivals", "ratoon lineage late_arrivals --version 3 --json"),
    ),
    Command(
        name="quarantine",
        group="ask",
        target="asking:quarantine",
        summary="Show the rows that broke a dataset's contract, and why.",
        examples=("ratoon quarantine flights --limit 50", "ratoon quarantine flights --replay"),
    ),
    Command(
        name="drift",
        group="ask",
        target="drifting:drift",
        summary="Say how a model's newest batches differ from what its champion learned from.",
        examples=("ratoon drift late_arrivals", "ratoon drift late_arrivals --domain"),
    ),
    Command(
        name="selftest",
        group="ask",
        target="drifting:selftest",
        summary="Say what a model's drift settings would have done on its own reference.",
        examples=("ratoon selftest late_arrivals", "ratoon selftest late_arrivals --rows 500 --repeats 1000"),
    ),
    Command(
        name="alerts",
        group="ask",
        target="alerting:alerts",
        summary="Show what needs a person, and whether it was told.",
        examples=("ratoon alerts", "ratoon alerts --model late_arrivals --all", "ratoon alerts --test"),
    ),
    Command(
        name="metrics",
        group="ask",
        target="alerting:metrics",
        summary="Print the ledger's figures as Prometheus reads them.",
        examples=("ratoon metrics",),
    ),
    Command(
        name="doctor",
        group="ask",
        target="diagnosis:doctor",
        summary="Test what Ratoon needs, and name the command that repairs it.",
        examples=("ratoon doctor", "ratoon doctor --json"),
    ),
    Command(
        name="trigger",
        group="steer",
        target="steering:trigger",
        summary="Ask for a retrain; guards still apply.",
        examples=('ratoon trigger late_arrivals --reason "new airport"',),
    ),
    Command(
        name="promote",
        group="steer",
        target="steering:promote",
        summary="Make a version the champion.",
        examples=('ratoon promote late_arrivals 4 --reason "reviewed by hand"',),
    ),
    Command(
        name="rollback",
        group="steer",
        target="steering:rollback",
        summary="Go back to an earlier champion; itself a promotion.",
        examples=(
            'ratoon rollback late_arrivals --reason "complaints"',
            'ratoon rollback late_arrivals --to 2 --reason "complaints"',
        ),
    ),
    Command(
        name="cancel",
        group="steer",
        target="steering:cancel",
        summary="Stop a model's active retrain, or one by its id.",
        examples=("ratoon cancel late_arrivals", "ratoon cancel retrain-0123456789abcdef01234567"),
    ),
    Command(
        name="mute",
        group="steer",
        target="alerting:mute",
        summary="Send nothing about some alerts for a while.",
        examples=(
            'ratoon mute late_arrivals/drift --for 2d --reason "holidays"',
            "ratoon mute '*/candidate_rejected' --for 4w --reason \"we watch the gate ourselves\"",
        ),
    ),
    Command(
        name="unmute",
        group="steer",
        target="alerting:unmute",
        summary="End a mute.",
        examples=("ratoon unmute late_arrivals/drift",),
    ),
    Command(
        name="resolve",
        group="steer",
        target="alerting:resolve",
        summary="Say that an alert is over.",
        examples=('ratoon resolve flights/data_broken --reason "the source sent corrected data"',),
    ),
)
"""Every command, in the order of help."""


def build_app() -> App:
    """Return the command line; a command's module is imported when it is called."""
    app = App(
        name="ratoon",
        help="Models on tables that retrain themselves when it is worth it, and can say why.",
        help_epilogue=_EXIT_CODES,
        help_format="plaintext",
        help_formatter="plain",
        version=__version__,
        default_parameter=Parameter(negative=()),
    )
    for position, command in enumerate(COMMANDS):
        app.command(
            f"ratoon.cli.{command.target}",
            name=command.name,
            help=command.summary,
            group=_GROUPS[command.group],
            sort_key=position,
            help_epilogue="Examples:\n" + "\n".join(f"  {line}" for line in command.examples) + f"\n\n{_EXIT_CODES}",
        )
    return app
