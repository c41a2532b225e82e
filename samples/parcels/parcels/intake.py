"""The counter: a sender hands over a parcel."""

from parcels.checks import require_liftable, require_open
from parcels.ledger import TrackingLedger
from parcels.messages import Outbox
from parcels.models import Depot, Parcel, ScanStatus


def receive_parcel(parcel: Parcel, depot: Depot, operator: str, ledger: TrackingLedger, outbox: Outbox) -> None:
    """Take a parcel from its sender."""
    require_open(depot)
    require_liftable(parcel)
    ledger.record_scan(parcel, depot=depot, status=ScanStatus.RECEIVED, operator=operator)
    outbox.notify(parcel.sender, parcel, template="received")
