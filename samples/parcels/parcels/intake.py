"""The counter: a sender hands over a parcel."""

from parcels.desk import Desk
from parcels.models import Parcel, ScanStatus


def receive_parcel(parcel: Parcel, desk: Desk) -> None:
    """Take a parcel from its sender."""
    desk.require_open()
    desk.record_scan(parcel, status=ScanStatus.RECEIVED)
    desk.outbox.notify(parcel.sender, parcel, template="received")
