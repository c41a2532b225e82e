"""The dock: parcels go into the van in the morning."""

from parcels.desk import Desk
from parcels.models import Parcel


def load_parcel(parcel: Parcel, desk: Desk) -> None:
    """Put a parcel into the van."""
    scan = desk.record_scan(parcel)
    desk.outbox.notify(parcel.recipient, scan, channel=desk.channel)
