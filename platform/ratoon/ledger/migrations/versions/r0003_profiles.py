"""Profiled batches and their diagnoses; what a drift report spent of the false-alarm budget."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of profiled batches, and tell each drift report's alpha."""
    op.add_column("drift", sa.Column("alpha", sa.Float(), nullable=True))
    op.create_table(
        "profile",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("binning", sa.String(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("diagnosis", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_profile")),
    )
    op.create_index(op.f("ix_profile_dataset_as_of"), "profile", ["dataset", "as_of"], unique=False)
