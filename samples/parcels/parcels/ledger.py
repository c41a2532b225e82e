"""One append-only list of scans: where each parcel was seen, when, and by whom."""

from collections import defaultdict

from parcels.models import Parcel, Scan


class Ledger:
    """Scans in the order in which they happened, found by parcel number."""

    def __init__(self) -> None:
        self._scans: dict[str, list[Scan]] = defaultdict(list)

    def append(self, scan: Scan) -> Scan:
        self._scans[scan.parcel_number].append(scan)
        return scan

    def latest(self, parcel: Parcel) -> Scan | None:
        """The newest scan of a parcel, or None when it was never seen."""
        scans = self._scans.get(parcel.number)
        return scans[-1] if scans else None

    def history(self, parcel: Parcel) -> list[Scan]:
        return list(self._scans.get(parcel.number, []))
