"""The closed sets of words that orders, stock and work are described with. Their values are those of the contract."""

from enum import StrEnum


class LocationKind(StrEnum):
    """What a location is."""

    WAREHOUSE = "WAREHOUSE"
    STORE = "STORE"
    MICRO_HUB = "MICRO_HUB"
    DROP_SHIPPER = "DROP_SHIPPER"


class LocationStatus(StrEnum):
    """ACTIVE takes work; SUSPENDED finishes what it has and takes none; CLOSED does neither."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class LocationService(StrEnum):
    """What a location does for shoppers."""

    SHIP = "SHIP"
    PICKUP = "PICKUP"
    RETURN = "RETURN"


class ServiceLevel(StrEnum):
    """How fast a delivery is promised to be."""

    STANDARD = "STANDARD"
    EXPRESS = "EXPRESS"
    NEXT_DAY = "NEXT_DAY"
    SAME_DAY = "SAME_DAY"
    INSTANT = "INSTANT"


class FulfillmentMethod(StrEnum):
    """How the goods reach the shopper."""

    DELIVERY = "DELIVERY"
    PICKUP = "PICKUP"


class MovementReason(StrEnum):
    """Why a quantity changed."""

    RECEIVED = "RECEIVED"
    SOLD = "SOLD"
    RETURNED = "RETURNED"
    ADJUSTED = "ADJUSTED"
    COUNTED = "COUNTED"
    DAMAGED = "DAMAGED"
    TRANSFERRED_OUT = "TRANSFERRED_OUT"
    TRANSFERRED_IN = "TRANSFERRED_IN"
    RESERVED = "RESERVED"
    RELEASED = "RELEASED"


class TransferStatus(StrEnum):
    """Where a transfer stands."""

    REQUESTED = "REQUESTED"
    IN_TRANSIT = "IN_TRANSIT"
    RECEIVED = "RECEIVED"
    CANCELLED = "CANCELLED"


class ReservationStatus(StrEnum):
    """Where a reservation stands: OPEN holds stock, the others hold none."""

    OPEN = "OPEN"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    PLACED = "PLACED"


class UnavailabilityCode(StrEnum):
    """Why a method, a level or a line has no option."""

    UNKNOWN_SKU = "UNKNOWN_SKU"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    DESTINATION_UNKNOWN = "DESTINATION_UNKNOWN"
    NOT_SERVED = "NOT_SERVED"
    TOO_FAR = "TOO_FAR"
    TOO_HEAVY = "TOO_HEAVY"
    CUTOFF_PASSED = "CUTOFF_PASSED"
    CLOSED = "CLOSED"
    NO_CAPACITY = "NO_CAPACITY"
    RESTRICTED = "RESTRICTED"
    TOO_MANY_PARCELS = "TOO_MANY_PARCELS"


class OrderStatus(StrEnum):
    """Where an order stands."""

    RECEIVED = "RECEIVED"
    ON_HOLD = "ON_HOLD"
    BACKORDERED = "BACKORDERED"
    UNROUTABLE = "UNROUTABLE"
    ROUTED = "ROUTED"
    IN_FULFILLMENT = "IN_FULFILLMENT"
    PARTIALLY_FULFILLED = "PARTIALLY_FULFILLED"
    FULFILLED = "FULFILLED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class Payment(StrEnum):
    """PREPAID: paid by another system. ON_COLLECTION: click and reserve, paid at the counter."""

    PREPAID = "PREPAID"
    ON_COLLECTION = "ON_COLLECTION"


class OrderAction(StrEnum):
    """What may be done with an order as a whole."""

    CANCEL = "CANCEL"
    CANCEL_LINES = "CANCEL_LINES"
    CHANGE_ADDRESS = "CHANGE_ADDRESS"
    HOLD = "HOLD"
    RELEASE = "RELEASE"
    REROUTE = "REROUTE"
    REPLACE = "REPLACE"
    REQUEST_RETURN = "REQUEST_RETURN"


class AssignmentStatus(StrEnum):
    """Where a location's share of an order stands. HELD: its order is on hold, and no location knows of it."""

    HELD = "HELD"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    PICKING = "PICKING"
    PACKED = "PACKED"
    READY_FOR_PICKUP = "READY_FOR_PICKUP"
    HANDED_OVER = "HANDED_OVER"
    COLLECTED = "COLLECTED"
    NOT_COLLECTED = "NOT_COLLECTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class AssignmentAction(StrEnum):
    """What a location may do with its share of an order."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    START_PICKING = "START_PICKING"
    REPORT_PICKED = "REPORT_PICKED"
    PACK = "PACK"
    HAND_OVER = "HAND_OVER"
    MARK_READY = "MARK_READY"
    COLLECT = "COLLECT"
    RESTOCK = "RESTOCK"


class RejectReason(StrEnum):
    """Why a location does not do its share."""

    OUT_OF_STOCK = "OUT_OF_STOCK"
    DAMAGED = "DAMAGED"
    TOO_BUSY = "TOO_BUSY"
    CLOSED = "CLOSED"
    OTHER = "OTHER"


class ShipmentStatus(StrEnum):
    """Where a parcel stands."""

    CREATED = "CREATED"
    HANDED_OVER = "HANDED_OVER"
    IN_TRANSIT = "IN_TRANSIT"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"
    DELIVERY_FAILED = "DELIVERY_FAILED"
    LOST = "LOST"
    RETURNED_TO_SENDER = "RETURNED_TO_SENDER"
    CANCELLED = "CANCELLED"


class ReturnStatus(StrEnum):
    """Where a return stands."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    IN_TRANSIT = "IN_TRANSIT"
    RECEIVED = "RECEIVED"
    INSPECTED = "INSPECTED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"


class ReturnReason(StrEnum):
    """Why something comes back."""

    TOO_LARGE = "TOO_LARGE"
    TOO_SMALL = "TOO_SMALL"
    NOT_AS_DESCRIBED = "NOT_AS_DESCRIBED"
    DAMAGED = "DAMAGED"
    DEFECTIVE = "DEFECTIVE"
    WRONG_ITEM = "WRONG_ITEM"
    CHANGED_MIND = "CHANGED_MIND"
    OTHER = "OTHER"


class ItemCondition(StrEnum):
    """In which state something came back."""

    NEW = "NEW"
    OPENED = "OPENED"
    DAMAGED = "DAMAGED"
    DEFECTIVE = "DEFECTIVE"


class Disposition(StrEnum):
    """What becomes of what came back."""

    RESTOCK = "RESTOCK"
    TRANSFER = "TRANSFER"
    REFURBISH = "REFURBISH"
    DISPOSE = "DISPOSE"
    SEND_BACK = "SEND_BACK"


class ReturnMethod(StrEnum):
    """How the goods come back."""

    IN_STORE = "IN_STORE"
    CARRIER = "CARRIER"


class ReturnAction(StrEnum):
    """What may be done with a return."""

    APPROVE = "APPROVE"
    DECLINE = "DECLINE"
    RECEIVE = "RECEIVE"
    INSPECT = "INSPECT"
    CLOSE = "CLOSE"
    CANCEL = "CANCEL"


class RoutingTrigger(StrEnum):
    """Why an order was routed."""

    PLACED = "PLACED"
    RELEASED = "RELEASED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SHORT_PICK = "SHORT_PICK"
    NOT_FOUND_IN_COUNT = "NOT_FOUND_IN_COUNT"
    LOCATION_CLOSED = "LOCATION_CLOSED"
    ORDER_CHANGED = "ORDER_CHANGED"
    STOCK_ARRIVED = "STOCK_ARRIVED"
    MANUAL = "MANUAL"


class FenceKind(StrEnum):
    """What may keep a location out of a plan."""

    STOCK = "STOCK"
    STATUS = "STATUS"
    SERVICE = "SERVICE"
    COUNTRY = "COUNTRY"
    DISTANCE = "DISTANCE"
    TAGS = "TAGS"
    CARRIER_CUTOFF = "CARRIER_CUTOFF"
    OPENING_HOURS = "OPENING_HOURS"
    CAPACITY = "CAPACITY"
    MAX_PARCELS = "MAX_PARCELS"
    PRESELECTED = "PRESELECTED"
    BLOCKED = "BLOCKED"
    PROMISE = "PROMISE"


class RatingKind(StrEnum):
    """What a parcel from a location is charged for."""

    SHIPPING = "SHIPPING"
    HANDLING = "HANDLING"
    DISTANCE = "DISTANCE"
    LATENESS = "LATENESS"
    SPLIT = "SPLIT"
    CO2 = "CO2"
    LOAD = "LOAD"
    STOCK_BALANCE = "STOCK_BALANCE"
    MARKDOWN = "MARKDOWN"
    REJECTION = "REJECTION"
    PREFERENCE = "PREFERENCE"


class UpdateKind(StrEnum):
    """What happened, as a line of the feed."""

    ORDER_PLACED = "ORDER_PLACED"
    ORDER_ROUTED = "ORDER_ROUTED"
    ORDER_STATUS_CHANGED = "ORDER_STATUS_CHANGED"
    ORDER_CHANGED = "ORDER_CHANGED"
    ORDER_LATE = "ORDER_LATE"
    ORDER_CANCELLED = "ORDER_CANCELLED"
    ASSIGNMENT_OFFERED = "ASSIGNMENT_OFFERED"
    ASSIGNMENT_STATUS_CHANGED = "ASSIGNMENT_STATUS_CHANGED"
    SHIPMENT_STATUS_CHANGED = "SHIPMENT_STATUS_CHANGED"
    STOCK_CHANGED = "STOCK_CHANGED"
    RETURN_STATUS_CHANGED = "RETURN_STATUS_CHANGED"


class Role(StrEnum):
    """Who is calling."""

    STOREFRONT = "STOREFRONT"
    STORE = "STORE"
    OPERATIONS = "OPERATIONS"
    ADMIN = "ADMIN"


class ErrorCode(StrEnum):
    """What kind of error it is, for a program."""

    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    NO_FULFILLMENT_OPTION = "NO_FULFILLMENT_OPTION"
    DESTINATION_UNKNOWN = "DESTINATION_UNKNOWN"
    INVALID_PICKUP_CODE = "INVALID_PICKUP_CODE"
    OPTION_EXPIRED = "OPTION_EXPIRED"
    RESERVATION_EXPIRED = "RESERVATION_EXPIRED"
    ACTION_NOT_ALLOWED = "ACTION_NOT_ALLOWED"
    RETURN_NOT_ELIGIBLE = "RETURN_NOT_ELIGIBLE"
