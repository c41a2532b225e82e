"""The sorting hall: parcels leave for the depot nearest to their recipient."""

from parcels.checks import require_open
from parcels.ledger import TrackingLedger
from parcels.messages import Outbox
from parcels.models import Depot, Parcel, ScanStatus


def nearest_depot(parcel: Parcel, depots: list[Depot]) -> Depot:
    """The open depot in the recipient's city, or else the first open one."""
    open_depots = [depot for depot in depots if depot.is_open]
    for depot in open_depots:
        if depot.city == parcel.recipient.city:
            return depot
    return open_depots[0]


def sort_parcel(parcel: Parcel, depot: Depot, operator: str, ledger: TrackingLedger, outbox: Outbox) -> None:
    """Send a parcel on to the depot that will deliver it."""
    require_open(depot)
    ledger.record_scan(parcel, depot=depot, status=ScanStatus.SORTED, operator=operator)
    outbox.notify(parcel.recipient, parcel, template="sorted")
