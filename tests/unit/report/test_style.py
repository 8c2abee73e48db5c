"""The palette's contrast, after WCAG 2.2: 4.5 for text, 3 for what a drawing needs to be understood."""

import re
from importlib import resources

import pytest

STYLE = (resources.files("ratoon.report") / "style.css").read_text()
TEXTS = [("ink", "paper"), ("soft", "paper"), ("ink", "surface"), ("soft", "surface"), ("blue", "paper")]
BADGES = [("red", "red-soft"), ("green", "green-soft"), ("amber", "amber-soft"), ("ink", "cell")]
VERDICTS = [("ink", "green-soft"), ("ink", "amber-soft"), ("ink", "red-soft"), ("paper", "ink")]
SIGNS = [("blue", "surface"), ("red", "surface"), ("green", "surface"), ("amber", "surface"), ("grey-line", "surface")]


def palettes() -> dict[str, dict[str, str]]:
    found = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    ]
    return dict(zip(("light", "dark", "print"), found, strict=True))


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_measure_is_that_of_the_standard() -> None:
    # Black on white is 21 by definition; #767676 on white is the standard's well-known grey of 4.54.
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
@pytest.mark.parametrize(("front", "back"), [*TEXTS, *BADGES, *VERDICTS])
def test_text_can_be_read(theme: str, front: str, back: str) -> None:
    palette = palettes()[theme]
    assert contrast(palette[front], palette[back]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
@pytest.mark.parametrize(("front", "back"), SIGNS)
def test_signs_can_be_seen(theme: str, front: str, back: str) -> None:
    palette = palettes()[theme]
    assert contrast(palette[front], palette[back]) >= 3


def test_every_theme_names_the_same_colours() -> None:
    light, dark, on_paper = (set(palette) for palette in palettes().values())
    assert light == dark == on_paper
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) <= light
