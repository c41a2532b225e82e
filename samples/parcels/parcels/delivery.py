"""The door: parcels are handed over, or refused."""

from parcels.desk import Desk
from parcels.models import Parcel


def deliver_parcel(parcel: Parcel, desk: Desk) -> None:
    """Hand a parcel over at the door."""
    scan = desk.record_scan(parcel)
    desk.outbox.notify(parcel.sender, scan, channel=desk.channel)


def refuse_parcel(parcel: Parcel, desk: Desk) -> None:
    """The recipient does not want the parcel."""
    scan = desk.record_scan(parcel)
    desk.outbox.notify(parcel.sender, scan, channel=desk.channel)
