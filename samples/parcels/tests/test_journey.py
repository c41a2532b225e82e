"""A parcel's journey, from the counter to the door."""

import pytest

from parcels.delivery import deliver_parcel
from parcels.desk import DepotClosed, Desk
from parcels.intake import receive_parcel
from parcels.ledger import Ledger
from parcels.loading import load_parcel
from parcels.messages import Outbox
from parcels.models import Address, Depot, Parcel, ScanStatus
from parcels.sorting import sort_parcel

SENDER = Address(name="Ada", street="Kade 1", city="Utrecht", postcode="3511 AA")
RECIPIENT = Address(name="Bram", street="Gracht 2", city="Delft", postcode="2611 BB")


def make_parcel() -> Parcel:
    return Parcel(number="P1", sender=SENDER, recipient=RECIPIENT, weight_grams=1200)


def make_desk(status: ScanStatus, ledger: Ledger, outbox: Outbox, is_open: bool = True) -> Desk:
    depot = Depot(code="UTR", city="Utrecht", is_open=is_open)
    return Desk(status, depot, "mo", ledger, outbox)


def test_a_delivered_parcel_has_four_scans() -> None:
    parcel, ledger, outbox = make_parcel(), Ledger(), Outbox()
    steps = {
        ScanStatus.RECEIVED: receive_parcel,
        ScanStatus.SORTED: sort_parcel,
        ScanStatus.LOADED: load_parcel,
        ScanStatus.DELIVERED: deliver_parcel,
    }
    for status, step in steps.items():
        step(parcel, make_desk(status, ledger, outbox))
    assert [scan.status for scan in ledger.history(parcel)] == list(steps)


def test_the_sender_hears_of_the_delivery() -> None:
    outbox = Outbox()
    deliver_parcel(make_parcel(), make_desk(ScanStatus.DELIVERED, Ledger(), outbox))
    assert outbox.messages[-1].address == SENDER


def test_a_closed_depot_takes_nothing() -> None:
    desk = make_desk(ScanStatus.RECEIVED, Ledger(), Outbox(), is_open=False)
    with pytest.raises(DepotClosed):
        receive_parcel(make_parcel(), desk)
