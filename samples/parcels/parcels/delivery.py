"""The van: parcels are loaded in the morning and handed over at the door."""

from parcels.checks import require_liftable, require_open
from parcels.ledger import TrackingLedger
from parcels.messages import Outbox
from parcels.models import Depot, Parcel, ScanStatus


def load_parcel(parcel: Parcel, depot: Depot, operator: str, ledger: TrackingLedger, outbox: Outbox) -> None:
    """Put a parcel into the van."""
    require_open(depot)
    require_liftable(parcel)
    ledger.record_scan(parcel, depot=depot, status=ScanStatus.LOADED, operator=operator)
    outbox.notify(parcel.recipient, parcel, template="loaded")


def deliver_parcel(parcel: Parcel, depot: Depot, operator: str, ledger: TrackingLedger, outbox: Outbox) -> None:
    """Hand a parcel over at the door."""
    ledger.record_scan(parcel, depot=depot, status=ScanStatus.DELIVERED, operator=operator)
    outbox.notify(parcel.sender, parcel, template="delivered")


def refuse_parcel(parcel: Parcel, depot: Depot, operator: str, ledger: TrackingLedger, outbox: Outbox) -> None:
    """The recipient does not want the parcel."""
    ledger.record_scan(parcel, depot=depot, status=ScanStatus.REFUSED, operator=operator)
    outbox.notify(parcel.sender, parcel, template="refused")
