"""A report's page in Chromium: from disk, without a network, at a phone's and at a desktop's size, in both themes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.plugins, pytest.mark.slow]

CHARTS = ("equity", "drawdown", "exposure", "price", "returns", "results")
COLOURS = """canvas => {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const seen = new Set();
  for (let n = 0; n < pixels.length; n += 4)
    if (pixels[n + 3] > 200) seen.add(`${pixels[n]},${pixels[n + 1]},${pixels[n + 2]}`);
  return [...seen];
}"""
INK = """canvas => {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let count = 0;
  for (let n = 3; n < pixels.length; n += 4) count += pixels[n] > 0;
  return count / (width * height);
}"""
HEIGHTS = """(canvas, tint) => {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return [...Array(width).keys()].map(x => {
    let count = 0;
    for (let y = 0; y < height; y++) {
      const n = 4 * (y * width + x);
      count += `${pixels[n]},${pixels[n + 1]},${pixels[n + 2]}` === tint && pixels[n + 3] === 255;
    }
    return count;
  });
}"""
TINTS = {
    "light": {"gain": "20,113,58", "loss": "192,32,38", "warn": "143,90,0", "curve": "11,98,196"},
    "dark": {"gain": "95,208,138", "loss": "255,127,122", "warn": "240,182,76", "curve": "108,178,255"},
}  # fmt: skip
Look = Callable[..., Any]


def colours(page: Any, chart: str) -> set[str]:
    return set(page.eval_on_selector(f"#{chart} canvas", COLOURS))


def cells(page: Any, table: str, column: int) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f'[aria-label="{table}"] tbody td:nth-child({column})', "all => all.map(c => c.textContent)"
    )
    return found


def only_loaded(console: list[str], file: Path) -> bool:
    return console == [f"request: {file.as_uri()}"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_it_is_drawn_whole_and_says_nothing(
    look: Look, report_file: Path, theme: str, size: str
) -> None:
    page, console = look(report_file, theme, size)
    assert only_loaded(console, report_file)
    for chart in CHARTS:
        assert page.eval_on_selector(f"#{chart} canvas", INK) > 0.01, chart
    tints = TINTS[theme]
    assert tints["curve"] in colours(page, "equity")
    assert {tints[name] for name in ("gain", "loss", "warn")} <= colours(page, "price")
    assert {tints["gain"], tints["loss"]} <= colours(page, "results")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == page.evaluate("innerWidth")
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[theme]


def test_a_bar_is_as_high_as_its_return(look: Look, report_file: Path) -> None:
    page, _ = look(report_file)
    returns = page.evaluate(
        "JSON.parse(document.getElementById('data').textContent).returns.map(r => r[1])"
    )
    assert (
        min(returns) > 0.5 * max(returns) > 0
    )  # an axis that does not begin at 0 would lie about them
    heights = page.eval_on_selector("#returns canvas", HEIGHTS, TINTS["light"]["gain"])
    highest, lowest = max(heights), min(height for height in heights if height)
    assert lowest / highest == pytest.approx(min(returns) / max(returns), abs=0.03)


def test_a_click_sorts_by_value_and_another_one_turns_it_around(
    look: Look, report_file: Path
) -> None:
    page, console = look(report_file)
    head = page.locator('[aria-label="trades"] th', has_text="P&L")

    def gains() -> list[float]:
        return [float(text.replace(",", "")) for text in cells(page, "trades", 3)]

    before = gains()
    head.locator("button").click()
    assert gains() == sorted(before) != before
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert gains() == sorted(before, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    assert only_loaded(console, report_file)


def test_the_keyboard_sorts(look: Look, report_file: Path) -> None:
    page, _ = look(report_file)
    page.locator('[aria-label="trades"] th', has_text="symbol").locator("button").focus()
    page.keyboard.press("Enter")
    symbols = cells(page, "trades", 2)
    assert symbols == sorted(symbols)
    assert len(set(symbols)) == 10
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press(" ")
    held = [
        int(text.split(":")[0]) * 60 + int(text.split(":")[1]) for text in cells(page, "trades", 5)
    ]
    assert held == sorted(held)


def test_the_select_shows_another_symbols_price(look: Look, report_file: Path) -> None:
    page, console = look(report_file)
    symbols = page.eval_on_selector_all("#symbol option", "all => all.map(o => o.value)")
    assert len(symbols) == 10
    first = page.eval_on_selector("#price canvas", "canvas => canvas.toDataURL()")
    page.select_option("#symbol", symbols[7])
    page.wait_for_selector(f'#price[data-symbol="{symbols[7]}"]')
    assert page.locator("#price canvas").count() == 1
    assert page.eval_on_selector("#price canvas", "canvas => canvas.toDataURL()") != first
    page.hover("#price .u-over")
    assert symbols[7] in page.inner_text("#price .u-legend")
    assert only_loaded(console, report_file)


def test_a_chart_is_zoomed_with_the_others_and_tells_of_a_mark(
    look: Look, report_file: Path
) -> None:
    page, console = look(report_file)
    before = page.eval_on_selector("#price canvas", "canvas => canvas.toDataURL()")
    box = page.locator("#equity .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50, steps=4)
    page.mouse.up()
    assert page.eval_on_selector("#price canvas", "canvas => canvas.toDataURL()") != before
    over = page.locator("#price .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    for step in range(0, int(box["width"]), 6):  # along the middle, until one is near
        for height in (0.3, 0.5, 0.7):
            page.mouse.move(box["x"] + step, box["y"] + box["height"] * height)
            if page.inner_text("#mark"):
                break
        else:
            continue
        break
    told = page.inner_text("#mark")
    assert any(f" {kind}: " in told for kind in ("entry", "exit", "blocked")), told
    assert only_loaded(console, report_file)


def wait_until(page: Any, expression: str) -> None:
    """`wait_for_function` evaluates text in the page, which its policy forbids where it is not true at once."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def test_it_follows_a_change_of_the_theme(look: Look, report_file: Path) -> None:
    page, _ = look(report_file, "light")
    assert TINTS["light"]["curve"] in colours(page, "equity")
    page.emulate_media(color_scheme="dark")
    wait_until(page, "getComputedStyle(document.body).backgroundColor === 'rgb(20, 24, 29)'")
    for chart in ("equity", "results"):
        assert not colours(page, chart) & set(TINTS["light"].values())


def test_it_is_printed_light_and_whole(look: Look, report_file: Path) -> None:
    page, console = look(report_file, "dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert TINTS["light"]["curve"] in colours(page, "equity")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 990})
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.eval_on_selector(
        '[aria-label="trades"]', "e => e.scrollHeight <= e.clientHeight + 1"
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(page.pdf(format="A4")) > 50_000
    assert only_loaded(console, report_file)


def test_without_scripts_the_tables_are_there(browser: Any, report_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report_file.as_uri())
    assert page.locator('[aria-label="trades"] tbody tr').count() > 10
    assert "need JavaScript" in page.inner_text("noscript")
    context.close()


def test_what_a_strategy_says_is_text(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smabot.cli import main

    monkeypatch.chdir(tmp_path)
    Path("loud.py").write_text(
        "from smabot.api import Bar, Signal, hookimpl\n"
        'EVIL = \'</script><script>document.title="taken"</script><img src=x onerror=document.title="taken">\'\n'
        "class Loud:\n"
        "    @hookimpl\n"
        "    def on_bar(self, bar: Bar) -> Signal | None:\n"
        "        up = bar.close > bar.open\n"
        "        return Signal.long(bar, EVIL) if up else Signal.flat(bar, EVIL)\n"
    )
    words = ("--plugins", "./loud.py,risk", "--data", "simulated:sessions=1,seed=5")
    assert main(["backtest", *words, "--html", "r.html"]) == 0
    page, console = look(tmp_path / "r.html")
    assert page.title() == "Backtest"
    assert page.locator("img").count() == 0
    assert "BUY: </script><script>" in cells(page, "trades", 12)[0]
    assert only_loaded(console, tmp_path / "r.html")


@pytest.mark.parametrize("points", [1, 2])
def test_next_to_nothing_is_drawn_without_an_error(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: int
) -> None:
    from smabot.cli import main

    monkeypatch.chdir(tmp_path)
    lines = "".join(f"SPY,2026-03-02T14:3{n}:00Z,1,1,1,1,10\n" for n in range(points))
    Path("one.csv").write_text(f"symbol,timestamp,open,high,low,close,volume\n{lines}")
    assert main(["backtest", "--data", "one.csv", "--html", "r.html"]) == 0
    page, console = look(tmp_path / "r.html")
    assert page.eval_on_selector("#equity canvas", INK) > 0.001
    assert "No trade was closed." in page.inner_text("#results")
    assert "No order was made" in page.inner_text("#price")
    assert only_loaded(console, tmp_path / "r.html")


SPY_ON_CANVASES = """() => {
  const drawn = window.drawn = { texts: [], dashed: 0 }, c = CanvasRenderingContext2D.prototype;
  const { fillText, stroke } = c;
  c.fillText = function (text, ...rest) { drawn.texts.push(text); fillText.call(this, text, ...rest); };
  c.stroke = function (...rest) { drawn.dashed += this.getLineDash().length > 0; stroke.apply(this, rest); };
}"""
WIDEST_HOLE = """canvas => {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const blue = (n) => pixels[n + 3] > 60 && pixels[n + 2] > pixels[n] + 80;
  const drawn = [...Array(width).keys()].filter(x =>
    [...Array(height).keys()].some(y => blue(4 * (y * width + x))));
  return Math.max(...drawn.slice(1).map((x, n) => x - drawn[n]));
}"""
"""Pixels between two columns with a curve."""
DAY_CHARTS = 5
"""Charts that have days as their axis."""


def drawn_again(page: Any) -> dict[str, Any]:
    """Return what all charts write and how many dashed lines they draw."""
    page.evaluate(SPY_ON_CANVASES)
    page.emulate_media(color_scheme="dark")
    wait_until(page, "drawn.texts.length > 20")
    return dict(page.evaluate("drawn"))


def test_axes_have_the_year_and_sessions_that_are_missing_a_mark(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smabot.cli import main

    monkeypatch.chdir(tmp_path)
    days = ("2025-12-29", "2025-12-30", "2025-12-31", "2026-01-02", "2026-01-26", "2026-01-27")
    lines = []
    for day in days:
        for minute in range(10, 60):
            price = (10 if day < "2026-01-05" else 50) + (minute > 50)
            lines.append(f"SPY,{day}T15:{minute}:00Z,{','.join([str(price)] * 4)},1000")
    Path("some.csv").write_text(
        "\n".join(["symbol,timestamp,open,high,low,close,volume", *lines, ""])
    )
    assert main(["backtest", "--data", "some.csv", "--html", "r.html"]) == 0
    page, console = look(tmp_path / "r.html")
    assert "no data from 2026-01-02 to 2026-01-26" in page.inner_text("body")
    assert page.eval_on_selector("#price canvas", WIDEST_HOLE) > 100
    drawn = drawn_again(page)
    for text in ("12-29", "2025", "01-02", "2026"):
        assert text in drawn["texts"]
    assert drawn["dashed"] == drawn["texts"].count("2025") == DAY_CHARTS
    assert only_loaded(console, tmp_path / "r.html")


def test_whole_data_have_no_mark(look: Look, report_file: Path) -> None:
    page, _ = look(report_file)
    assert "no data" not in page.inner_text("body")
    assert drawn_again(page)["dashed"] == 0


def test_a_legend_is_there_only_with_a_pointer(look: Look, report_file: Path) -> None:
    page, _ = look(report_file)
    legends = page.locator(".u-legend")
    assert legends.count() == len(CHARTS)
    assert not any(legend.is_visible() for legend in legends.all())
    page.hover("#equity .u-over")
    assert page.locator("#equity .u-legend").is_visible()
    page.mouse.move(0, 0)
    page.wait_for_selector("#equity .u-legend", state="hidden")


def test_a_phone_shows_why_orders_were_blocked(look: Look, report_file: Path) -> None:
    page, _ = look(report_file, size="phone")
    table = page.locator('[aria-label="unfilled"]')
    reason = table.locator("tbody tr").first.locator("td.long").first
    assert "max_orders" in reason.inner_text()
    box, frame = reason.bounding_box(), table.bounding_box()
    assert box["x"] + box["width"] <= frame["x"] + frame["width"]
