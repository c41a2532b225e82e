"""The sorting hall: parcels leave for another depot."""

from parcels.desk import Desk
from parcels.models import Parcel, ScanStatus


def sort_parcel(parcel: Parcel, desk: Desk) -> None:
    """Send a parcel on to the depot that will deliver it."""
    desk.require_open()
    desk.record_scan(parcel, status=ScanStatus.SORTED)
    desk.outbox.notify(parcel.recipient, parcel, template="sorted")
