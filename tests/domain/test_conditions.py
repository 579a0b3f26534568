"""Conditions of policies: what holds for an order, what is refused and where, and which policy decides."""

from dataclasses import replace
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from domain.errors import InvalidInput
from domain.planning.policy import DEFAULT, Policy, Rating
from domain.policies import Condition, Facts, LineFacts, Policies
from domain.vocabulary import FulfillmentMethod, RatingKind, ServiceLevel

ORDER = Facts(
    channel="web",
    method=FulfillmentMethod.DELIVERY,
    level=ServiceLevel.EXPRESS,
    currency="EUR",
    country="DE",
    postal_code="10115",
    tags=("gift", "vip"),
    lines=(
        LineFacts(sku="mug", quantity=2, unit_price=1250, tags=("fragile",)),
        LineFacts(sku="rug", quantity=1, unit_price=9900),
    ),
)
PICKUP = replace(ORDER, method=FulfillmentMethod.PICKUP, level=None, country=None, postal_code=None)
UNPRICED = replace(ORDER, lines=(LineFacts(sku="mug", quantity=2), *ORDER.lines[1:]))


@pytest.mark.parametrize(
    ("condition", "order", "held"),
    [
        ("", ORDER, True),
        ("total == 124.0 && currency == 'EUR'", ORDER, True),
        ("total > 124", ORDER, False),
        ("total == null", UNPRICED, True),
        ("channel in ['web', 'app'] && 'vip' in tags", ORDER, True),
        ("level == 'EXPRESS' && method == 'DELIVERY'", ORDER, True),
        ("level == null && method == 'PICKUP' && country == null && postalCode == null", PICKUP, True),
        ("country == 'DE' && postalCode.startsWith('10')", ORDER, True),
        ("lines.exists(line, 'fragile' in line.tags && line.unitPrice < 20.0)", ORDER, True),
        ("lines.all(line, line.quantity > 1)", ORDER, False),
        ("size(lines) == 2 // mug, rug\n && lines[1].sku == 'rug'", ORDER, True),
    ],
)
def test_a_condition_sees_the_whole_order(condition: str, order: Facts, held: bool) -> None:  # noqa: FBT001
    assert Condition(condition).holds(order) is held


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("total >", "1:8: mismatched input '<EOF>'."),
        ("channel == 'web' &&\n  chanel == 'app'", "2:3: There is no variable chanel; there are channel,"),
        ("lines.exists(line, line.price > 1)", "1:25: There is no field price; a line has quantity,"),
        ("channel.matches('w+')", "1:9: There is no function matches; there are all,"),
        ("lines.all(a, lines.exists(b, true))", "1:14: lines cannot be read within all or exists."),
        ("lines.all(a, a.tags.all(b, true))", "1:21: all cannot stand within another."),
        ("lines.exists(a, true) && a.sku == 'mug'", "1:26: There is no variable a;"),
        ("tags + tags == []", "1:6: + is not known here."),
        ("{'a': 1} == {'a': 1}", "1:1: { is not known here."),
        (r"r'\' == channel || lines.map(l, lines) == [] || 'a' == 'b'", "1:1: There is no variable r;"),
        ("'''a''' == channel", "1:3: Texts of several lines are not known here."),
        ("((" * 60 + "true" + "))" * 60, ""),
        ("total", "This is neither true nor false."),
        ("total > 'much'", "This compares values of different kinds."),
        ("true" + " || true" * 200, "This is 1604 characters long; 1000 are allowed."),
    ],
)
def test_a_mistake_is_refused_with_its_place(condition: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Condition(condition)
    assert refused.value.message.startswith(message)
    assert refused.value.path == ("condition",)


def policy(name: str, condition: str = "") -> Policy:
    return Policy(name=name, condition=condition, ratings=(Rating(kind=RatingKind.CO2, weight=Decimal(1)),))


def test_the_first_policy_whose_condition_holds_decides() -> None:
    policies = Policies([policy("abroad", "country != 'DE'"), policy("gifts", "'gift' in tags"), policy("rest")])
    assert policies.policy_for(ORDER).name == "gifts"
    assert policies.policy_for(replace(ORDER, tags=())).name == "rest"
    assert policies.policy_for(replace(ORDER, country="AT")).name == "abroad"


def test_where_no_condition_holds_the_cheapest_plan_decides() -> None:
    assert Policies([policy("abroad", "country != 'DE'")]).policy_for(ORDER) == replace(DEFAULT, priority=0)
    assert Policies().policy_for(ORDER).name == DEFAULT.name


def test_a_condition_that_fails_does_not_hold_and_is_told_of_once() -> None:
    dear = policy("dear", "total > 100.0")
    with capture_logs() as told:
        for _ in range(2):
            assert Policies([dear]).policy_for(UNPRICED).name == DEFAULT.name
            assert Policies([dear]).policy_for(ORDER) is dear
        assert Policies([replace(dear, version=2)]).policy_for(UNPRICED).name == DEFAULT.name
    assert [(entry["event"], entry["policy"], entry["version"]) for entry in told] == [
        ("condition_failed", "dear", 1),
        ("condition_failed", "dear", 2),
    ]


def test_a_condition_that_later_rules_refuse_does_not_hold() -> None:
    with capture_logs() as told:
        assert Policies([policy("old", "matches(channel, 'w')")]).policy_for(ORDER).name == DEFAULT.name
    assert [entry["event"] for entry in told] == ["condition_failed"]


def test_which_policy_decides_is_asked_for_each_level_where_a_condition_looks_at_it() -> None:
    fast = policy("fast", "level == 'EXPRESS' || level == 'INSTANT'")
    levels = [ServiceLevel.STANDARD, ServiceLevel.EXPRESS, ServiceLevel.INSTANT, ServiceLevel.EXPRESS]
    found = {each.name: asked for each, asked in Policies([fast, policy("rest")]).by_level(ORDER, levels)}
    assert found == {"rest": levels[:1], "fast": levels[1:3]}
    found = {each.name: asked for each, asked in Policies([policy("rest")]).by_level(ORDER, levels)}
    assert found == {"rest": levels[:3]}
