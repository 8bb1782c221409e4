"""What trading costs besides the spread: slippage in the price of a fill, commissions and fees beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_UP, Decimal

from smabot.provider import ZERO, Bar, Side

_CENT = Decimal("0.01")
_HUNDREDTH_CENT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Costs:
    """US dollars, 0 for none: commissions, regulatory fees, and how much worse fills are than the quote.

    ``commission_minimum`` is the least commission of an order that fills. ``sec_fee_rate`` is for each dollar
    sold, ``taf_per_share`` for each share sold, ``taf_maximum`` dollars an order at most, where it is not 0;
    ``cat_per_share`` is for each share. ``slippage`` is for each share, and ``slippage_of_range`` the fraction
    of the bar's high less its low that comes on top.
    """

    commission_per_share: Decimal = ZERO
    commission_per_order: Decimal = ZERO
    commission_minimum: Decimal = ZERO
    sec_fee_rate: Decimal = ZERO
    taf_per_share: Decimal = ZERO
    taf_maximum: Decimal = ZERO
    cat_per_share: Decimal = ZERO
    slippage: Decimal = ZERO
    slippage_of_range: Decimal = ZERO

    @property
    def charged(self) -> bool:
        """Whether an order may be charged commissions or fees."""
        return bool(
            self.commission_per_share or self.commission_per_order or self.commission_minimum
            or self.sec_fee_rate or self.taf_per_share or self.cat_per_share
        )  # fmt: skip

    @property
    def slips(self) -> bool:
        """Whether fills are worse than the quote."""
        return bool(self.slippage or self.slippage_of_range)

    def fees(self, side: Side, qty: Decimal, value: Decimal) -> Decimal:
        """Return what an order is charged in all for the shares that it has filled, and their value.

        Commission and each fee are rounded up to whole cents by order, whatever the number of its fills.
        """
        if not qty:
            return ZERO
        commission = self.commission_per_order + self.commission_per_share * qty
        charged = _cents(max(commission, self.commission_minimum)) + _cents(
            self.cat_per_share * qty
        )
        if side is Side.SELL:
            taf = self.taf_per_share * qty
            charged += _cents(self.sec_fee_rate * value)
            charged += _cents(min(taf, self.taf_maximum) if self.taf_maximum else taf)
        return charged

    def slippage_in(self, bar: Bar) -> Decimal:
        """Return what a share is traded worse within a bar, rounded up to a hundredth of a cent."""
        slippage = self.slippage
        if self.slippage_of_range:
            high, low = Decimal(repr(bar.high)), Decimal(repr(bar.low))
            slippage += self.slippage_of_range * (high - low)
        return slippage.quantize(_HUNDREDTH_CENT, ROUND_UP)


def cost_notes(half_spread: Decimal, costs: Costs) -> tuple[str, ...]:
    """Return what an operator should know of costs that no table of fees shows, a line each."""
    if not (half_spread or costs.charged or costs.slips):
        return (
            "fills cost nothing: no spread, slippage or fees are counted, which makes results too good; set "
            "some with `--costs` of a backtest, or in [default.plugin.exchange]",
        )
    parts = {
        f"half a spread of {half_spread.normalize():f} a share": half_spread,
        f"slippage of {costs.slippage.normalize():f} a share": costs.slippage,
        f"slippage of {costs.slippage_of_range:.2%} of the bar's range": costs.slippage_of_range,
    }
    counted = [part for part, amount in parts.items() if amount]
    return (f"in the prices of fills: {', '.join(counted)}",) if counted else ()


COST_NAMES = tuple(field.name for field in fields(Costs))
_NO_FEES = {name: ZERO for name in COST_NAMES if not name.startswith("slippage")}
FEE_SCHEDULES: Mapping[str, Mapping[str, Decimal]] = {
    "none": _NO_FEES,
    "alpaca": _NO_FEES
    | {
        "sec_fee_rate": Decimal("0.0000206"),
        "taf_per_share": Decimal("0.000195"),
        "taf_maximum": Decimal("9.79"),
        "cat_per_share": Decimal("0.000003"),
    },
}
"""Commissions and fees by name.

``alpaca``: no commission, and the regulatory fees that Alpaca passes on (docs.alpaca.markets/docs/regulatory-fees
and alpaca.markets/support/regulatory-fees), at the rates of 2026: the SEC's of Section 31, $20.60 a million dollars
sold since 4 April 2026 (Federal Register 2026-04233, SEC fee rate advisory 2026-2); FINRA's trading activity fee,
$0.000195 a share sold, $9.79 a trade at most (Schedule A to FINRA's By-Laws, Section 1); and the fee for the
Consolidated Audit Trail, $0.000003 a share on both sides (Alpaca's fee schedule of 1 July 2026).
"""


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_UP)
