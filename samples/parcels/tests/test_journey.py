"""A parcel's journey, from the counter to the door."""

from parcels.delivery import deliver_parcel, load_parcel
from parcels.intake import receive_parcel
from parcels.ledger import TrackingLedger
from parcels.messages import Outbox
from parcels.models import Address, Depot, Parcel, ScanStatus
from parcels.sorting import nearest_depot, sort_parcel

SENDER = Address(name="Ada", street="Kade 1", city="Utrecht", postcode="3511 AA")
RECIPIENT = Address(name="Bram", street="Gracht 2", city="Delft", postcode="2611 BB")
DEPOTS = [Depot(code="UTR", city="Utrecht"), Depot(code="DLF", city="Delft")]


def make_parcel(weight_grams: int = 1200) -> Parcel:
    return Parcel(number="P1", sender=SENDER, recipient=RECIPIENT, weight_grams=weight_grams)


def test_a_delivered_parcel_has_four_scans() -> None:
    parcel, ledger, outbox = make_parcel(), TrackingLedger(), Outbox()
    receive_parcel(parcel, DEPOTS[0], "mo", ledger, outbox)
    depot = nearest_depot(parcel, DEPOTS)
    sort_parcel(parcel, depot, "mo", ledger, outbox)
    load_parcel(parcel, depot, "jo", ledger, outbox)
    deliver_parcel(parcel, depot, "jo", ledger, outbox)
    assert [scan.status for scan in ledger.history(parcel)] == [
        ScanStatus.RECEIVED,
        ScanStatus.SORTED,
        ScanStatus.LOADED,
        ScanStatus.DELIVERED,
    ]


def test_the_sender_hears_of_the_delivery() -> None:
    parcel, ledger, outbox = make_parcel(), TrackingLedger(), Outbox()
    deliver_parcel(parcel, DEPOTS[1], "jo", ledger, outbox)
    assert outbox.messages[-1].to == SENDER
