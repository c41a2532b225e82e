"""One append-only list of scans: where each parcel was seen, when, and by whom."""

from collections import defaultdict

from parcels.models import Depot, Parcel, Scan, ScanStatus


class TrackingLedger:
    """Scans in the order in which they happened, found by parcel number."""

    def __init__(self) -> None:
        self._scans: dict[str, list[Scan]] = defaultdict(list)

    def record_scan(self, parcel: Parcel, *, depot: Depot, status: ScanStatus, operator: str) -> Scan:
        """Append one scan and return it."""
        scan = Scan(
            parcel_number=parcel.number,
            depot_code=depot.code,
            status=status,
            operator=operator,
        )
        self._scans[parcel.number].append(scan)
        return scan

    def latest_scan(self, parcel: Parcel) -> Scan | None:
        """The newest scan of a parcel, or None when it was never seen."""
        scans = self._scans.get(parcel.number)
        return scans[-1] if scans else None

    def history(self, parcel: Parcel) -> list[Scan]:
        return list(self._scans.get(parcel.number, []))
