"""What is said of a parcel by its number: one to a shopper, or one that a shopper sends back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import returns, shipments
from domain.carriers import TrackingReport
from domain.errors import NotFound
from domain.network import Networks
from domain.returns import Post, ReturnRow
from domain.shipments import Dispatch, ShipmentRow
from domain.transaction import Connection
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Who tells, when, and on which transaction."""

    connection: Connection
    networks: Networks
    viewer: Viewer
    now: datetime

    async def report(
        self, tracking_number: str, carrier: str | None, reports: Sequence[TrackingReport]
    ) -> ShipmentRow | ReturnRow:
        """Take what was said of the newest parcel of that number, in any order, any number of times; return it.

        Raise NotFound, also for a parcel that the viewer may not know of, ActionNotAllowed for a status that no
        carrier reports, and InvalidInput.
        """
        sent = await shipments.newest(self.connection, tracking_number, carrier)
        if sent is not None and self.viewer.works_at(sent.location_id):
            dispatch = Dispatch(
                connection=self.connection, networks=self.networks, actor=self.viewer.name, now=self.now
            )
            return await dispatch.take(sent, reports)
        back = await returns.newest(self.connection, tracking_number, carrier)
        if back is not None and returns.visible(back, self.viewer):
            post = Post(connection=self.connection, networks=self.networks, viewer=self.viewer, now=self.now)
            return await post.hear(back, reports)
        raise NotFound(message="There is no parcel of this number.", path=("trackingNumber",))
