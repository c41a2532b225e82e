"""The way back: refused parcels go home."""

from parcels.desk import Desk
from parcels.models import Parcel


def return_parcel(parcel: Parcel, desk: Desk) -> None:
    """Send a refused parcel back to where it came from."""
    scan =
