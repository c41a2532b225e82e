"""A desk in a depot, where one step of a parcel's journey is done."""

from parcels.ledger import Ledger
from parcels.messages import Outbox
from parcels.models import Channel, Depot, Parcel, Scan, ScanStatus


class DepotClosed(Exception):
    """The depot takes no parcels now."""


class Desk:
    def __init__(self, status: ScanStatus, depot: Depot, operator: str, ledger: Ledger, outbox: Outbox) -> None:
        self.status = status
        self.depot = depot
        self.operator = operator
        self.ledger = ledger
        self.outbox = outbox
        self.channel = Channel.EMAIL

    def record_scan(self, parcel: Parcel) -> Scan:
        """Note in the ledger that the parcel was seen here, and by whom."""
        if not self.depot.is_open:
            raise DepotClosed(self.depot.code)
        return self.ledger.append(
            Scan(
                parcel_number=parcel.number,
                depot_code=self.depot.code,
                status=self.status,
                operator=self.operator,
            )
        )
