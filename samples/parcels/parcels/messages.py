"""Messages to senders and recipients. They are collected here; something else sends them."""

from dataclasses import dataclass

from parcels.models import Address, Channel, Scan, ScanStatus

TEXTS = {
    ScanStatus.RECEIVED: "We have received parcel {number}.",
    ScanStatus.SORTED: "Parcel {number} is on its way to {city}.",
    ScanStatus.LOADED: "Parcel {number} will be delivered today.",
    ScanStatus.DELIVERED: "Parcel {number} has been delivered.",
    ScanStatus.REFUSED: "Parcel {number} was refused.",
    ScanStatus.RETURNED: "Parcel {number} is on its way back to {city}.",
}


@dataclass(frozen=True)
class Message:
    address: Address
    channel: Channel
    text: str


class Outbox:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def notify(self, address: Address, scan: Scan, *, channel: Channel) -> Message:
        text = TEXTS[scan.status].format(number=scan.parcel_number, city=address.city)
        message = Message(address=address, channel=channel, text=text)
        self.messages.append(message)
        return message
