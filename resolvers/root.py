"""The index of the whole API: each root field, who may call it, and where it is answered."""

from collections.abc import AsyncGenerator

import strawberry

from resolvers import (
    api_keys,
    assignments,
    inventory,
    network,
    nodes,
    options,
    orders,
    replenishment,
    reservations,
    returns,
    routing,
    shipments,
    updates,
    webhooks,
)
from resolvers.fields import mutation, query, question, subscription
from schema.api_keys import ApiKey, ApiKeyResult
from schema.assignments import Assignment, AssignmentLine, AssignmentResult
from schema.inventory import Availability, ImportResult, Item, StockLevel, StockMovement, StockResult
from schema.network import CarrierService, CarrierServiceResult, Location, LocationResult
from schema.options import FulfillmentOptions
from schema.orders import Order, OrderLine, OrderResult, PlaceOrderResult
from schema.paging import Connection, Node
from schema.permission import EVERYBODY, OFFICE, SETTINGS, SHOP, STAFF
from schema.replenishment import Receipt, ReceiptResult, Transfer, TransferResult
from schema.reservations import ReleaseReservationResult, Reservation, ReserveCartResult
from schema.returns import (
    Return,
    ReturnLine,
    ReturnOptions,
    ReturnPolicy,
    ReturnPolicyResult,
    ReturnResult,
    ShipmentResult,
)
from schema.routing import RoutingDecision, RoutingPolicy, RoutingPolicyResult, SimulateRoutingResult
from schema.scalars import Cursor
from schema.shipments import Shipment
from schema.updates import AssignmentUpdate, OrderUpdate, ReturnUpdate, StockUpdate
from schema.viewer import Viewer
from schema.webhooks import Webhook, WebhookResult


@strawberry.type(description="What can be asked.")
class Query:
    """What can be asked."""

    node: Node | None = query(nodes.node, EVERYBODY, "Anything by its id; null where the viewer may not see it.")
    nodes: list[Node | None] = query(nodes.nodes, EVERYBODY, "Things by their ids, in the order asked for.")
    viewer: Viewer = query(network.viewer, EVERYBODY, "Who is calling.")
    updates_cursor: Cursor = query(
        updates.updates_cursor,
        EVERYBODY,
        "Where the updates stand now: select it before the lists of a first screen, subscribe with it, and nothing "
        "is missed.",
    )
    fulfillment_options: FulfillmentOptions = query(
        options.fulfillment_options, SHOP, "How a cart can reach a shopper, when, and for how much."
    )
    availability: list[Availability] = query(
        inventory.availability, EVERYBODY, "How much of each item can be had, and where."
    )
    location: Location | None = query(network.location, EVERYBODY, "A location by its id or its code.")
    locations: Connection[Location] = query(
        network.locations, EVERYBODY, "Locations, nearest first where `near` is given, else by code.", paged=True
    )
    item: Item | None = query(inventory.item, EVERYBODY, "An item by its SKU.")
    items: Connection[Item] = query(
        inventory.items, EVERYBODY, "Items by SKU; tags asks for those with all of them.", paged=True
    )
    carrier_services: list[CarrierService] = query(
        network.carrier_services, OFFICE, "All carrier services, by code, inactive ones too."
    )
    stock_levels: Connection[StockLevel] = query(
        inventory.stock_levels, STAFF, "Stock by SKU and location.", paged=True
    )
    stock_movements: Connection[StockMovement] = query(
        inventory.stock_movements,
        STAFF,
        "The ledger: why quantities changed, newest first. A STORE viewer reads that of its own locations.",
        paged=True,
    )
    transfers: Connection[Transfer] = query(
        replenishment.transfers,
        STAFF,
        "Transfers from or to a location, newest first. A STORE viewer sees those of its own locations.",
        paged=True,
    )
    receipts: Connection[Receipt] = query(
        replenishment.receipts,
        STAFF,
        "What suppliers are expected to bring, and brought, by the time it is expected. A STORE viewer sees those of "
        "its own locations.",
        paged=True,
    )
    order: Order | None = query(
        orders.order, EVERYBODY, "An order by its id, or by its number; a STOREFRONT viewer knows the id."
    )
    orders: Connection[Order] = query(orders.orders, STAFF, "Orders, newest first unless asked otherwise.", paged=True)
    assignments: Connection[Assignment] = query(
        assignments.assignments, STAFF, "Assignments, the first due first unless asked otherwise.", paged=True
    )
    return_options: ReturnOptions = query(
        returns.return_options,
        EVERYBODY,
        "How lines of an order, or all that may be, can come back: to a store near the shopper, or with a carrier; and "
        "why the rest may not.",
    )
    return_policies: list[ReturnPolicy] = query(
        returns.return_policies, OFFICE, "On which terms goods are taken back, in the order in which they are asked."
    )
    returns: Connection[Return] = query(
        returns.returns,
        STAFF,
        "Returns, newest first. A STORE viewer sees those announced or received at its locations.",
        paged=True,
    )
    routing_policies: list[RoutingPolicy] = query(
        routing.routing_policies,
        OFFICE,
        "The version in force and the newest of each policy, those that are asked first coming first, then the presets "
        "that are not in force.",
    )
    simulate_routing: SimulateRoutingResult = question(
        routing.simulate_routing,
        OFFICE,
        "What routing would decide for this cart now, under the policies in force or the given one; nothing is kept or "
        "reserved. Of several methods and levels it is the option that would be listed first: name one to compare "
        "policies.",
    )
    webhooks: list[Webhook] = query(webhooks.webhooks, OFFICE, "All webhooks, the oldest first, inactive ones too.")
    api_keys: Connection[ApiKey] = query(
        api_keys.api_keys, SETTINGS, "All keys of machines, the newest first, revoked ones too.", paged=True
    )


@strawberry.type(description="What can be done. Each answers the thing, or a typed error.")
class Mutation:
    """What can be done. Each answers the thing, or a typed error."""

    reserve_cart: ReserveCartResult = mutation(
        reservations.reserve_cart,
        SHOP,
        "Hold an option's stock for a while: `ttl`, or as long as is usual, and never past the option's orderBefore.",
    )
    extend_reservation: ReserveCartResult = mutation(
        reservations.extend_reservation, SHOP, "Hold on for `ttl` from now; it never becomes shorter."
    )
    release_reservation: ReleaseReservationResult = mutation(
        reservations.release_reservation, SHOP, "Give back what a reservation holds."
    )
    place_order: PlaceOrderResult = mutation(
        orders.place_order, SHOP, "Place an order: by the option the shopper chose, or by a wish. It never oversells."
    )
    cancel_order: OrderResult = mutation(
        orders.cancel_order, SHOP, "Call off everything that has not left its location, and give its stock back."
    )
    cancel_order_lines: OrderResult = mutation(
        orders.cancel_order_lines,
        SHOP,
        "Call off units of parcels that will not arrive, each parcel as a whole, and units that are not picked yet: "
        "those that wait for stock first, then the least advanced work. Each call calls off as many more: with "
        "expectedVersion, one that is sent again has no effect.",
    )
    change_order_address: OrderResult = mutation(
        orders.change_order_address,
        SHOP,
        "Send what has not left yet to another address. The price and the level stay, the promise may move; where no "
        "location can do it, nothing changes.",
    )
    hold_order: OrderResult = mutation(
        orders.hold_order,
        SHOP,
        "Until picking starts: take the order's work back from its locations. Its stock stays reserved.",
    )
    release_order: OrderResult = mutation(
        orders.release_order,
        SHOP,
        "Offer the work of an order on hold to its locations; what cannot be kept as it was planned is planned again.",
    )
    reroute_order: OrderResult = mutation(
        orders.reroute_order,
        OFFICE,
        "Plan again all that nobody has begun to pick, and what waits. Locations named here are not asked for any of "
        "it until others are named, and work is taken from them wherever it stands; where no other can do it, nothing "
        "changes.",
    )
    replace_shipment: OrderResult = mutation(
        orders.replace_shipment, OFFICE, "For a LOST or RETURNED_TO_SENDER parcel: sends its lines again."
    )
    accept_assignment: AssignmentResult = mutation(assignments.accept_assignment, STAFF, "Take work on.")
    reject_assignment: AssignmentResult = mutation(
        assignments.reject_assignment, STAFF, "Refuse work as a whole; it is routed anew without this location."
    )
    start_picking: AssignmentResult = mutation(assignments.start_picking, STAFF, "Begin to pick.")
    report_picked: AssignmentResult = mutation(
        assignments.report_picked,
        STAFF,
        "Say what was found so far. What is reported short is routed anew without this location.",
    )
    pack_assignment: AssignmentResult = mutation(
        assignments.pack_assignment, STAFF, "Pack; every line has to be picked or short in full."
    )
    mark_ready_for_pickup: AssignmentResult = mutation(
        assignments.mark_ready_for_pickup, STAFF, "Put the parcel where the shopper collects it."
    )
    collect_assignment: AssignmentResult = mutation(
        assignments.collect_assignment,
        STAFF,
        "Give the parcel to the shopper who shows the pickup code. With `lines`, the rest is put back and cancelled.",
    )
    hand_over_assignment: AssignmentResult = mutation(
        assignments.hand_over_assignment, STAFF, "Give the parcel to the carrier."
    )
    restock_assignment: AssignmentResult = mutation(
        assignments.restock_assignment,
        STAFF,
        "After NOT_COLLECTED or CANCELLED: what was picked is back on its shelf, and may be sold.",
    )
    record_tracking: ShipmentResult = mutation(
        shipments.record_tracking,
        STAFF,
        "Say what happened to the newest parcel of this number. In any order, any number of times: the events count in "
        "the order of their time, and a final status stays.",
    )
    request_return: ReturnResult = mutation(
        returns.request_return,
        SHOP,
        "Ask to return lines of an order, to a store (any that takes returns) or with a carrier. Where the policies of "
        "all lines say so it is approved at once; a carrier's label follows.",
    )
    approve_return: ReturnResult = mutation(returns.approve_return, OFFICE, "Let a return come.")
    decline_return: ReturnResult = mutation(returns.decline_return, OFFICE, "Refuse a return.")
    cancel_return: ReturnResult = mutation(
        returns.cancel_return, SHOP, "Call a return off; once it is on its way only the office may."
    )
    receive_return: ReturnResult = mutation(
        returns.receive_return,
        STAFF,
        "Take a return in at a location that takes returns, announced there or not. Nothing of it may be sold yet.",
    )
    inspect_return: ReturnResult = mutation(
        returns.inspect_return,
        STAFF,
        "Say in which condition lines are, each once. It decides what becomes of them and what is refunded; what may "
        "be sold is in stock from now on.",
    )
    close_return: ReturnResult = mutation(
        returns.close_return, STAFF, "End a return that is INSPECTED: its refund is due."
    )
    register_return: ReturnResult = mutation(
        returns.register_return,
        STAFF,
        "Take in goods that are shown at the counter: of the order of that number and postal code, or of none.",
    )
    save_return_policy: ReturnPolicyResult = mutation(
        returns.save_return_policy, SETTINGS, "Make or change the policy of that name."
    )
    adjust_stock: StockResult = mutation(
        inventory.adjust_stock, STAFF, "Change what is on hand by so many, more or fewer."
    )
    count_stock: StockResult = mutation(
        inventory.count_stock,
        STAFF,
        "Set what is on hand to what was counted, even below what is reserved. A count that agrees changes nothing.",
    )
    import_stock: ImportResult = mutation(inventory.import_stock, OFFICE, "Set what is on hand, as counted.")
    import_items: ImportResult = mutation(inventory.import_items, OFFICE, "Make and change items.")
    set_safety_stock: ImportResult = mutation(
        inventory.set_safety_stock, OFFICE, "Set what locations keep of items. What is reserved stays reserved."
    )
    set_holdback: ImportResult = mutation(
        inventory.set_holdback,
        OFFICE,
        "Keep the last units of items from a channel. Of a location's own holdback and each location's the larger "
        "holds.",
    )
    expect_receipts: ImportResult = mutation(
        replenishment.expect_receipts, OFFICE, "Expect suppliers to bring something; until they do, it is incoming."
    )
    receive_receipt: ReceiptResult = mutation(
        replenishment.receive_receipt,
        STAFF,
        "Take in so many units of what was expected, in parts if need be, and more if more came.",
    )
    create_transfer: TransferResult = mutation(
        replenishment.create_transfer,
        STAFF,
        "Ask for stock to go from one location to another; it is reserved at the source. A STORE viewer works at one "
        "of them.",
    )
    dispatch_transfer: TransferResult = mutation(
        replenishment.dispatch_transfer, STAFF, "Let a transfer leave its source."
    )
    receive_transfer: TransferResult = mutation(
        replenishment.receive_transfer,
        STAFF,
        "Take in what came of a transfer, all of it at once; of an item left out nothing came. More or less than was "
        "sent is taken as the truth.",
    )
    cancel_transfer: TransferResult = mutation(
        replenishment.cancel_transfer,
        STAFF,
        "Call a transfer off, at either end; what is on its way is back on hand at the source.",
    )
    import_locations: ImportResult = mutation(network.import_locations, SETTINGS, "Make and change locations.")
    import_carrier_services: ImportResult = mutation(
        network.import_carrier_services, SETTINGS, "Make and change carrier services."
    )
    save_location: LocationResult = mutation(network.save_location, SETTINGS, "Make or change a location.")
    set_location_status: LocationResult = mutation(
        network.set_location_status, OFFICE, "Let a location take work, finish what it has, or stop."
    )
    save_carrier_service: CarrierServiceResult = mutation(
        network.save_carrier_service, SETTINGS, "Make or change a carrier service."
    )
    save_routing_policy: RoutingPolicyResult = mutation(
        routing.save_routing_policy, SETTINGS, "Make the first or the next version of a policy."
    )
    save_webhook: WebhookResult = mutation(
        webhooks.save_webhook,
        SETTINGS,
        "Let an address be told what happens from now on, or change a webhook; what waits is tried again at once.",
    )
    delete_webhook: WebhookResult = mutation(
        webhooks.delete_webhook, SETTINGS, "End a webhook, with all that waits for it."
    )
    replay_webhook: WebhookResult = mutation(
        webhooks.replay_webhook, OFFICE, "Send again everything after this cursor, dead letters included."
    )
    issue_api_key: ApiKeyResult = mutation(
        api_keys.issue_api_key,
        SETTINGS,
        "Make a key for a machine. Its secret is in this answer and in no other; a lost one is revoked, and made anew.",
    )
    revoke_api_key: ApiKeyResult = mutation(api_keys.revoke_api_key, SETTINGS, "Let a key open nothing any more.")


@strawberry.type(description="What can be followed. With `after`, what was missed comes first.")
class Subscription:
    """What can be followed. With `after`, what was missed comes first."""

    order_updates: AsyncGenerator[OrderUpdate, None] = subscription(
        updates.order_updates,
        EVERYBODY,
        "Dashboards: all the viewer may see, or a part of it (a status filter gives what enters a status, not what "
        "leaves it). A storefront viewer names one order.",
    )
    assignment_updates: AsyncGenerator[AssignmentUpdate, None] = subscription(
        updates.assignment_updates, STAFF, "Store tablets: new assignments of a location and every change to them."
    )
    stock_updates: AsyncGenerator[StockUpdate, None] = subscription(
        updates.stock_updates,
        STAFF,
        "Changes of stock levels; where conflate is false, every one, even if it comes after a newer one.",
    )
    return_updates: AsyncGenerator[ReturnUpdate, None] = subscription(
        updates.return_updates,
        EVERYBODY,
        "Every change of a return, of one order or location, or of all that the viewer may see. A storefront viewer "
        "names one order.",
    )


NODES = [
    Location,
    CarrierService,
    Item,
    StockLevel,
    StockMovement,
    Order,
    OrderLine,
    Assignment,
    AssignmentLine,
    Shipment,
    Return,
    ReturnLine,
    ReturnPolicy,
    Reservation,
    Transfer,
    Receipt,
    RoutingPolicy,
    RoutingDecision,
    Webhook,
    ApiKey,
]
"""The types behind Node, which the printed schema would lack where no field leads to them."""
