"""The door: parcels are handed over, or refused."""

from parcels.desk import Desk
from parcels.models import Parcel, ScanStatus


def deliver_parcel(parcel: Parcel, desk: Desk) -> None:
    """Hand a parcel over at the door."""
    desk.record_scan(parcel, status=ScanStatus.DELIVERED)
    desk.outbox.notify(parcel.sender, parcel, template="delivered")


def refuse_parcel(parcel: Parcel, desk: Desk) -> None:
    """The recipient does not want the parcel."""
    desk.record_scan(parcel, status=ScanStatus.REFUSED)
    desk.outbox.notify(parcel.sender, parcel, template="refused")
