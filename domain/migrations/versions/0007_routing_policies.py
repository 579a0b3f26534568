"""Make the table of routing policies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "routing_policy",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("condition", sa.String(), nullable=False),
        sa.Column("fences", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("ratings", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("respond_seconds", sa.Integer(), nullable=True),
        sa.Column("start_seconds", sa.Integer(), nullable=True),
        sa.Column("collect_seconds", sa.Integer(), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name="routing_policy_version_positive"),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_index(
        "routing_policy_active", "routing_policy", ["name"], unique=True, postgresql_where=sa.text("active")
    )


def downgrade() -> None:
    op.drop_table("routing_policy")
