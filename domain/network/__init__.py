"""Where stock lies and who carries it: written here, read as one immutable snapshot."""

from domain.network.carriers import (
    CarrierServiceChange,
    CostStep,
    ZoneReach,
    import_carrier_services,
    save_carrier_service,
)
from domain.network.locations import (
    CLOSING,
    OPENING,
    Closure,
    Hours,
    LocationChange,
    LocationRecord,
    WeekdayLimit,
    import_locations,
    save_location,
    set_location_status,
)
from domain.network.rows import CarrierServiceRow, LocationRow
from domain.network.snapshot import Networks, Snapshot, find_locations

__all__ = [
    "CLOSING",
    "OPENING",
    "CarrierServiceChange",
    "CarrierServiceRow",
    "Closure",
    "CostStep",
    "Hours",
    "LocationChange",
    "LocationRecord",
    "LocationRow",
    "Networks",
    "Snapshot",
    "WeekdayLimit",
    "ZoneReach",
    "find_locations",
    "import_carrier_services",
    "import_locations",
    "save_carrier_service",
    "save_location",
    "set_location_status",
]
