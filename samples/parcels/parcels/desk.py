"""A person at work in a depot. Every step of a parcel's journey goes through one."""

from parcels.ledger import Ledger
from parcels.messages import Outbox
from parcels.models import Depot, Parcel, Scan, ScanStatus


class DepotClosed(Exception):
    """The depot takes no parcels now."""


class Desk:
    def __init__(self, depot: Depot, operator: str, ledger: Ledger, outbox: Outbox) -> None:
        self.depot = depot
        self.operator = operator
        self.ledger = ledger
        self.outbox = outbox

    def require_open(self) -> None:
        if not self.depot.is_open:
            raise DepotClosed(self.depot.code)

    def record_scan(self, parcel: Parcel, *, status: ScanStatus) -> Scan:
        """Note in the ledger that the parcel was seen here, and by whom."""
        return self.ledger.append(
            Scan(
                parcel_number=parcel.number,
                depot_code=self.depot.code,
                status=status,
                operator=self.operator,
            )
        )
