"""The way back: refused parcels go home to their sender."""

from parcels.checks import require_open
from parcels.ledger import TrackingLedger
from parcels.messages import Outbox
from parcels.models import Depot, Parcel, ScanStatus


def return_parcel(parcel: Parcel, depot: Depot, operator: str, ledger: TrackingLedger, outbox: Outbox) -> None:
    """Send a refused parcel back to its sender."""
    require_open(depot)
    ledger.
