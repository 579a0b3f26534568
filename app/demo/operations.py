"""What the demo's shoppers and stores say to the gateway, and what it prints for people to paste."""

import json
from decimal import Decimal

from app.demo.carriers import price
from app.demo.network import DemoNetwork

OPTIONS = """
query Options($input: FulfillmentOptionsInput!) {
  fulfillmentOptions(input: $input) { options { token method level complete } }
}
"""

PLACE = """
mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input) { __typename ... on Order { id number } ... on UserError { message } }
}
"""

PICKUP_CODE = "query PickupCode($id: ID!) { order(id: $id) { pickupCode } }"

WORK = """
query Work($status: [AssignmentStatus!]!, $first: Int!) {
  assignments(where: { status: $status }, orderBy: { field: OFFERED_AT, direction: ASC }, first: $first) {
    edges { node { id status method location { id } order { id } lines { id sku quantity picked short } } }
  }
}
"""


TRANSFERS = """
query Transfers {
  transfers(status: [REQUESTED, IN_TRANSIT], last: 25) { edges { node { id status lines { sku quantity } } } }
}
"""


PARCELS = """
query Parcels {
  orders(where: { status: [FULFILLED] }, orderBy: { field: PLACED_AT, direction: ASC }, first: 25) {
    edges { node { id shipments { trackingNumber } } }
  }
}
"""

RETURNS = """
query Returns {
  returns(where: { status: [APPROVED, IN_TRANSIT, RECEIVED, INSPECTED] }, last: 25) {
    edges { node { id status method trackingNumber announcedLocation { id } lines { id } } }
  }
}
"""

RETURN_OPTIONS = """
query ReturnOptions($id: ID!) {
  returnOptions(orderId: $id) { options { method location { id } } lines { orderLine { id } returnable } }
}
"""

REQUEST = """
mutation Request($id: ID!, $line: ID!, $method: ReturnMethod!, $place: ID!, $key: String!) {
  requestReturn(
    orderId: $id, lines: [{ orderLineId: $line, quantity: 1, reason: CHANGED_MIND }], method: $method
    locationId: $place, idempotencyKey: $key
  ) { __typename ... on UserError { message } }
}
"""

TRACK = """
mutation Track($number: String!, $status: ShipmentStatus!) {
  recordTracking(trackingNumber: $number, status: $status) { __typename ... on UserError { message } }
}
"""


def _step(field: str, arguments: str = "", values: str = "") -> str:
    return (
        f"mutation Step($id: ID!{arguments}) "
        f"{{ {field}(id: $id{values}) {{ __typename ... on UserError {{ message }} }} }}"
    )


ACCEPT = _step("acceptAssignment")
REJECT = _step("rejectAssignment", ", $reason: RejectReason!", ", reason: $reason")
START = _step("startPicking")
REPORT = _step("reportPicked", ", $lines: [PickedLineInput!]!", ", lines: $lines")
PACK = _step("packAssignment")
HAND_OVER = _step("handOverAssignment")
READY = _step("markReadyForPickup")
DISPATCH = _step("dispatchTransfer")
TAKE_IN = _step("receiveTransfer", ", $lines: [TransferLineInput!]!", ", lines: $lines")
RECEIVE_RETURN = _step("receiveReturn", ", $place: ID!", ", locationId: $place")
INSPECT = _step("inspectReturn", ", $lines: [InspectedLineInput!]!", ", lines: $lines")
CLOSE = _step("closeReturn")
COLLECT = _step("collectAssignment", ", $code: String!", ", pickupCode: $code")

RECEIVE = """
mutation Receive($sku: String!, $locationId: ID!, $delta: Int!, $key: String!) {
  adjustStock(sku: $sku, locationId: $locationId, delta: $delta, reason: RECEIVED, idempotencyKey: $key) {
    __typename ... on UserError { message }
  }
}
"""

ALL = (
    *(OPTIONS, PLACE, PICKUP_CODE, WORK, TRANSFERS, ACCEPT, REJECT, START, REPORT, PACK, HAND_OVER, READY, COLLECT),
    *(DISPATCH, TAKE_IN, RECEIVE, PARCELS, RETURNS, RETURN_OPTIONS, REQUEST, TRACK, RECEIVE_RETURN, INSPECT, CLOSE),
)


def to_paste(network: DemoNetwork) -> tuple[str, str, str]:
    """Return an options query, an order and a subscription, with values that exist in the network."""
    city, good, currency = network.country.cities[0], network.goods[0], network.country.currency
    sku, name = json.dumps(good.record.sku), json.dumps(city.name, ensure_ascii=False)
    address = f'{{ postalCode: "10115", city: {name}, country: "{network.country.code}" }}'
    options = f"""query {{
  fulfillmentOptions(input: {{
    lines: [{{ sku: {sku}, quantity: 1 }}], currency: "{currency}", destination: {address}
  }}) {{
    options {{ method level price {{ amount currency }} earliest latest pickupLocation {{ name }} token }}
    unavailable {{ method level code message }}
  }}
}}"""
    order = f"""mutation {{
  placeOrder(input: {{
    idempotencyKey: "my first order", customer: {{ name: "Ada" }}, currency: "{currency}"
    lines: [{{ sku: {sku}, quantity: 1, unitPrice: "{price(Decimal(good.price), currency)}" }}]
    method: DELIVERY, level: STANDARD, shipTo: {address}
  }}) {{
    __typename
    ... on Order {{ id number status promisedLatest assignments {{ location {{ name }} }} }}
    ... on UserError {{ message }}
  }}
}}"""
    subscription = """subscription {
  orderUpdates { at status order { number method level } }
}"""
    return options, order, subscription
