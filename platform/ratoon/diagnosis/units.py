"""The mistakes of unit and sign that a numeric column can suffer."""

from dataclasses import dataclass
from typing import Final

from ratoon.diagnosis.counted import Column, Counted, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A mistake: the value that arrives is ``factor * value + offset``."""

    name: str
    factor: float
    offset: float = 0.0

    def undone(self, values: Vector | float) -> Vector | float:
        """Return the values as they were before the mistake."""
        return (values - self.offset) / self.factor

    def undone_counted(self, now: Counted) -> tuple[float, float, float, float]:
        """Return mean, standard deviation, minimum and maximum as they were before the mistake."""
        low, high = sorted(((now.low - self.offset) / self.factor, (now.high - self.offset) / self.factor))
        return (now.mean - self.offset) / self.factor, now.sd / abs(self.factor), low, high


AS_IT_IS: Final = Unit(name="as it is", factor=1.0)
SIGN_FLIP: Final = Unit(name="sign", factor=-1.0)

_RATIOS: Final = {
    "x1000": 1000.0,
    "x100": 100.0,
    "x10": 10.0,
    "hours in minutes or minutes in seconds (x60)": 60.0,
    "hours in seconds (x3600)": 3600.0,
    "inches in centimetres (x2.54)": 2.54,
    "inches in millimetres (x25.4)": 25.4,
    "metres in feet (x3.281)": 3.28084,
    "miles in kilometres, or mph in km/h (x1.609)": 1.609344,
    "knots in km/h (x1.852)": 1.852,
    "knots in mph (x1.151)": 1.150779,
    "m/s in mph (x2.237)": 2.236936,
    "m/s in km/h (x3.6)": 3.6,
    "kilograms in pounds (x2.205)": 2.204623,
    "inches of mercury in hectopascals (x33.86)": 33.8639,
}
_INVERSES: Final = {
    "x1000": "x0.001",
    "x100": "x0.01",
    "x10": "x0.1",
    "hours in minutes or minutes in seconds (x60)": "minutes in hours or seconds in minutes (x1/60)",
    "hours in seconds (x3600)": "seconds in hours (x1/3600)",
    "inches in centimetres (x2.54)": "centimetres in inches (x0.3937)",
    "inches in millimetres (x25.4)": "millimetres in inches (x0.03937)",
    "metres in feet (x3.281)": "feet in metres (x0.3048)",
    "miles in kilometres, or mph in km/h (x1.609)": "kilometres in miles, or km/h in mph (x0.6214)",
    "knots in km/h (x1.852)": "km/h in knots (x0.54)",
    "knots in mph (x1.151)": "mph in knots (x0.869)",
    "m/s in mph (x2.237)": "mph in m/s (x0.447)",
    "m/s in km/h (x3.6)": "km/h in m/s (x0.2778)",
    "kilograms in pounds (x2.205)": "pounds in kilograms (x0.4536)",
    "inches of mercury in hectopascals (x33.86)": "hectopascals in inches of mercury (x0.02953)",
}
_TEMPERATURES: Final = (
    Unit(name="Fahrenheit in Celsius", factor=5 / 9, offset=-160 / 9),
    Unit(name="Celsius in Fahrenheit", factor=9 / 5, offset=32.0),
    Unit(name="Celsius in kelvin (+273.15)", factor=1.0, offset=273.15),
    Unit(name="kelvin in Celsius (-273.15)", factor=1.0, offset=-273.15),
    Unit(name="Fahrenheit in kelvin", factor=5 / 9, offset=273.15 - 160 / 9),
    Unit(name="kelvin in Fahrenheit", factor=9 / 5, offset=32.0 - 273.15 * 9 / 5),
)
UNITS: Final = (
    SIGN_FLIP,
    *(Unit(name=name, factor=factor) for name, factor in _RATIOS.items()),
    *(Unit(name=_INVERSES[name], factor=1 / factor) for name, factor in _RATIOS.items()),
    *_TEMPERATURES,
)
"""Every mistake that is tried, the plain ones first."""


def ratio_text(column: Column) -> str:
    """Return what a column's mean is and was, for a sentence."""
    return f"mean {column.now.mean:.4g} where about {column.mean_forecast().center:.4g} was expected"
