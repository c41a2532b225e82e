"""The dock: parcels go into the van in the morning."""

from parcels.desk import Desk
from parcels.models import Parcel, ScanStatus


def load_parcel(parcel: Parcel, desk: Desk) -> None:
    """Put a parcel into the van."""
    desk.require_open()
    desk.record_scan(parcel, status=ScanStatus.LOADED)
    desk.outbox.notify(parcel.recipient, parcel, template="loaded")
