"""The counter: a sender hands over a parcel."""

from parcels.desk import Desk
from parcels.models import Parcel


def receive_parcel(parcel: Parcel, desk: Desk) -> None:
    """Take a parcel from its sender."""
    scan = desk.record_scan(parcel)
    desk.outbox.notify(parcel.sender, scan, channel=desk.channel)
