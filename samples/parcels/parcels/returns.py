"""The way back: refused parcels go home to their sender."""

from parcels.desk import Desk
from parcels.models import Parcel, ScanStatus


def return_parcel(parcel: Parcel, desk: Desk) -> None:
    """Send a refused parcel back to its sender."""
    desk.require_open()
    desk.
