"""Rules that every step of the journey obeys."""

from parcels.models import Depot, Parcel


class DepotClosed(Exception):
    """The depot takes no parcels now."""


class ParcelTooHeavy(Exception):
    """The parcel is heavier than a person may lift."""


MAX_WEIGHT_GRAMS = 31_500


def require_open(depot: Depot) -> None:
    if not depot.is_open:
        raise DepotClosed(depot.code)


def require_liftable(parcel: Parcel) -> None:
    if parcel.weight_grams > MAX_WEIGHT_GRAMS:
        raise ParcelTooHeavy(parcel.number)
