"""What the demo's shops sell: names in categories, weights, tags, and barcodes of the range kept for shops' own use."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from domain.inventory import ItemRecord

COUNT = 400
BULKY_GRAMS = 10_000
OWN_USE = "20"
"""EAN-13 codes that begin so belong to no manufacturer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A shelf: nouns with the grams of one, and the variants they come in."""

    name: str
    code: str
    nouns: tuple[tuple[str, int], ...]
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """An item, its price in whole euros, and how much it is wanted: the shares of all goods sum to 1."""

    record: ItemRecord
    category: str
    price: int
    demand: float


CATEGORIES = (
    Category(
        name="kitchen",
        code="KIT",
        nouns=(
            ("Mug", 340),
            ("Teapot", 900),
            ("Frying Pan", 1400),
            ("Chef's Knife", 260),
            ("Cutting Board", 1100),
            ("Salad Bowl", 800),
            ("Coffee Grinder", 1250),
            ("Storage Jar", 520),
            ("Tea Towel", 110),
            ("Kitchen Scale", 640),
        ),
        variants=("Enamel", "Oak", "Stoneware", "Steel", "Classic"),
    ),
    Category(
        name="garden",
        code="GAR",
        nouns=(
            ("Watering Can", 950),
            ("Hand Trowel", 280),
            ("Pruning Shears", 310),
            ("Plant Pot", 1600),
            ("Garden Hose 20 m", 3200),
            ("Bird Feeder", 720),
            ("Seed Box", 180),
            ("Garden Bench", 18_500),
            ("Work Gloves", 130),
            ("Lantern", 850),
        ),
        variants=("Zinc", "Green", "Terracotta", "Willow", "Compact"),
    ),
    Category(
        name="apparel",
        code="APP",
        nouns=(
            ("T-Shirt", 190),
            ("Sweater", 480),
            ("Rain Jacket", 620),
            ("Jeans", 740),
            ("Scarf", 160),
            ("Wool Socks", 90),
            ("Cap", 110),
            ("Hoodie", 560),
            ("Shorts", 280),
            ("Leather Belt", 210),
        ),
        variants=("Navy", "Charcoal", "Sand", "Forest", "Striped"),
    ),
    Category(
        name="sports",
        code="SPO",
        nouns=(
            ("Yoga Mat", 1200),
            ("Dumbbell 5 kg", 5100),
            ("Football", 430),
            ("Water Bottle", 240),
            ("Running Belt", 120),
            ("Tennis Racket", 310),
            ("Skipping Rope", 150),
            ("Sleeping Bag", 1400),
            ("Two-Person Tent", 2900),
            ("Bicycle Lock", 1300),
        ),
        variants=("Trail", "Club", "Light", "Pro", "Junior"),
    ),
    Category(
        name="electronics",
        code="ELE",
        nouns=(
            ("Headphones", 260),
            ("Charger 30 W", 110),
            ("Desk Lamp", 1250),
            ("Bluetooth Speaker", 680),
            ("Keyboard", 750),
            ("Mouse", 120),
            ("Power Bank", 350),
            ("USB-C Cable", 60),
            ("Webcam", 190),
            ("Alarm Clock", 330),
        ),
        variants=("Slate", "Ivory", "Mini", "Max", "Travel"),
    ),
    Category(
        name="home",
        code="HOM",
        nouns=(
            ("Cushion", 420),
            ("Wool Blanket", 1350),
            ("Floor Lamp", 5600),
            ("Picture Frame", 480),
            ("Candle", 310),
            ("Laundry Basket", 1500),
            ("Wall Clock", 780),
            ("Bookshelf", 21_000),
            ("Door Mat", 1700),
            ("Side Table", 6400),
        ),
        variants=("Linen", "Birch", "Rust", "Dusk", "Woven"),
    ),
    Category(
        name="toys",
        code="TOY",
        nouns=(
            ("Building Blocks", 900),
            ("Puzzle 1000 Pieces", 700),
            ("Plush Bear", 280),
            ("Board Game", 1100),
            ("Wooden Train", 640),
            ("Kite", 230),
            ("Modelling Clay", 520),
            ("Memory Game", 340),
            ("Balance Bike", 4300),
            ("Paint Set", 410),
        ),
        variants=("Ocean", "Forest", "Space", "City", "Farm"),
    ),
    Category(
        name="books",
        code="BOO",
        nouns=(
            ("Cookbook", 1150),
            ("Travel Guide", 420),
            ("Novel", 380),
            ("Atlas", 1900),
            ("Notebook", 260),
            ("Picture Book", 450),
            ("Crosswords", 210),
            ("Calendar", 330),
            ("Biography", 560),
            ("Field Guide", 480),
        ),
        variants=("Seaside", "Mountain", "Evening", "Pocket", "Illustrated"),
    ),
)


def make_goods(random: Random) -> tuple[Good, ...]:
    """Return COUNT goods, the most wanted first."""
    pairs = list(_named())
    random.shuffle(pairs)
    weights = [1 / (rank + 8) for rank in range(len(pairs))]
    goods = []
    for rank, (category, sku, name, grams) in enumerate(pairs):
        tags = [
            category.name,
            *(["bestseller"] if rank < COUNT // 20 else []),
            *(["bulky"] if grams > BULKY_GRAMS else []),
        ]
        barcode = ean13(f"{OWN_USE}{random.randrange(10**10):010}")
        goods.append(
            Good(
                record=ItemRecord(sku=sku, name=name, weight_grams=grams, tags=tags, barcodes=[barcode]),
                category=category.name,
                price=random.randint(4, 40) + grams // 150,
                demand=weights[rank] / sum(weights),
            )
        )
    return tuple(goods)


def _named() -> Iterator[tuple[Category, str, str, int]]:
    for category in CATEGORIES:
        pairs = [(variant, noun, grams) for noun, grams in category.nouns for variant in category.variants]
        for number, (variant, noun, grams) in enumerate(pairs, start=1):
            yield category, f"{category.code}-{number:03}", f"{variant} {noun}", grams


def ean13(digits: str) -> str:
    """Return twelve digits with the check digit of EAN-13."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"
