"""The sorting hall: parcels leave for another depot."""

from parcels.desk import Desk
from parcels.models import Parcel


def sort_parcel(parcel: Parcel, desk: Desk) -> None:
    """Send a parcel on to the depot that will deliver it."""
    scan = desk.record_scan(parcel)
    desk.outbox.notify(parcel.recipient, scan, channel=desk.channel)
