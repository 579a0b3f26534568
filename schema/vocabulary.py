"""The words of the domain, as enums of the contract. Whoever uses one in a field imports it after this."""

import strawberry

from domain import vocabulary

strawberry.enum(vocabulary.ErrorCode, description="What kind of error it is, for a program.")
strawberry.enum(vocabulary.LocationKind, description="What a location is.")
strawberry.enum(
    vocabulary.LocationStatus,
    description="ACTIVE takes work; SUSPENDED finishes what it has and takes none; CLOSED does neither.",
)
strawberry.enum(vocabulary.LocationService, description="What a location does for shoppers.")
strawberry.enum(vocabulary.ServiceLevel, description="How fast a delivery is promised to be.")
strawberry.enum(vocabulary.MovementReason, description="Why a quantity changed.")
strawberry.enum(
    vocabulary.TransferStatus,
    description="REQUESTED: reserved at the source. IN_TRANSIT: incoming at the target. RECEIVED: on hand there.",
)
strawberry.enum(vocabulary.FulfillmentMethod, description="How the goods reach the shopper.")
strawberry.enum(vocabulary.UnavailabilityCode, description="Why a method, a level or a line has no option.")
strawberry.enum(
    vocabulary.OrderStatus,
    description="RECEIVED -> ROUTED -> IN_FULFILLMENT -> PARTIALLY_FULFILLED -> FULFILLED -> COMPLETED. "
    "UNROUTABLE: no location can fulfil it now; BACKORDERED: it waits for stock. "
    "FULFILLED: everything left its location. "
    "COMPLETED: the shopper has everything.",
)
strawberry.enum(
    vocabulary.AssignmentStatus,
    description="OFFERED -> ACCEPTED -> PICKING -> PACKED -> HANDED_OVER (delivery), or PACKED -> READY_FOR_PICKUP -> "
    "COLLECTED (pickup). OFFERED, ACCEPTED or PICKING -> REJECTED: its lines are routed anew. "
    "HELD: planned for an order on hold, its stock reserved; no store knows of it.",
)
strawberry.enum(vocabulary.Payment, description="PREPAID: paid by another system. ON_COLLECTION: paid at the counter.")
strawberry.enum(vocabulary.OrderAction, description="What a viewer may do with an order.")
strawberry.enum(vocabulary.AssignmentAction, description="What a location may do with its share of an order.")
strawberry.enum(
    vocabulary.ShipmentStatus,
    description="CREATED -> HANDED_OVER -> IN_TRANSIT -> OUT_FOR_DELIVERY -> DELIVERED, or DELIVERY_FAILED and tried "
    "again. LOST may be found; DELIVERED, RETURNED_TO_SENDER and CANCELLED are final.",
)
strawberry.enum(
    vocabulary.ReturnStatus,
    description="REQUESTED -> APPROVED -> IN_TRANSIT -> RECEIVED -> INSPECTED -> CLOSED; REQUESTED -> DECLINED; "
    "CANCELLED before anything is on its way. What is INSPECTED may be sold again, or not; CLOSED: the refund is due.",
)
strawberry.enum(vocabulary.ReturnReason, description="Why something comes back.")
strawberry.enum(vocabulary.ItemCondition, description="In which state something came back.")
strawberry.enum(
    vocabulary.Disposition,
    description="What becomes of what came back. RESTOCK: sold where it is. TRANSFER: sent to where it sells better. "
    "REFURBISH: damaged stock of the location. DISPOSE, SEND_BACK: stock no more.",
)
strawberry.enum(vocabulary.ReturnMethod, description="How the goods come back: to a store, or with a carrier.")
strawberry.enum(vocabulary.ReturnAction, description="What may be done with a return.")
strawberry.enum(vocabulary.RejectReason, description="Why a location does not do its share.")
strawberry.enum(vocabulary.RoutingTrigger, description="Why an order was routed.")
strawberry.enum(vocabulary.FenceKind, description="What may keep a location out of a plan.")
strawberry.enum(vocabulary.RatingKind, description="What a parcel from a location is charged for.")
strawberry.enum(vocabulary.UpdateKind, description="What happened.")
strawberry.enum(
    vocabulary.Role,
    description="STOREFRONT: options, availability, placing, an order by its id. STORE: its own locations' work and "
    "stock. OPERATIONS: everything but settings. ADMIN: everything.",
)
