"""Find runs by the SKUs and the locations that they hold, not by the range that their SKUs lie in."""

import sqlalchemy as sa
from alembic import op

from domain import migrations

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP FUNCTION counted_movement")
    op.drop_index("counted_run_skus", "counted_run")
    op.drop_column("counted_run", "first_sku")
    op.drop_column("counted_run", "last_sku")
    op.execute("DROP TYPE sku_range")
    op.create_index("counted_run_skus", "counted_run", ["skus"], postgresql_using="gin")
    op.create_index("counted_run_location_ids", "counted_run", ["location_ids"], postgresql_using="gin")
    op.get_bind().exec_driver_sql(migrations.sql("counted_movement_2"))


def downgrade() -> None:
    op.execute("DROP FUNCTION counted_movement")
    op.drop_index("counted_run_location_ids", "counted_run")
    op.drop_index("counted_run_skus", "counted_run")
    op.execute('CREATE TYPE sku_range AS RANGE (subtype = text, collation = "C")')
    for name, least in (("first_sku", "min"), ("last_sku", "max")):
        op.add_column("counted_run", sa.Column(name, sa.String(), nullable=True))
        op.execute(
            f'UPDATE counted_run SET {name} = (SELECT {least}(sku COLLATE "C") FROM unnest(skus) sku)'  # noqa: S608
        )
        op.alter_column("counted_run", name, nullable=False)
    op.create_index(
        "counted_run_skus", "counted_run", [sa.text("sku_range(first_sku, last_sku, '[]')")], postgresql_using="gist"
    )
    op.get_bind().exec_driver_sql(migrations.sql("counted_movement_1"))
