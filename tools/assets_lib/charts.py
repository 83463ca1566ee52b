"""Charts, drawn with matplotlib."""

import io
import random
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from PIL import Image

from .canvas import FONT_FILES, font_path
from .model import Catalogue, numpy_rng

CHARTS = Catalogue("chart")
BAR, PIE, LINE, SCATTER = "bar chart", "pie chart", "line chart", "scatter plot"

FAMILIES = {"roboto": "Roboto", "source": "Source Sans Pro", "serif": "Source Serif Pro", "manrope": "Manrope"}


def register_fonts() -> None:
    """Tell matplotlib about the packaged fonts."""
    for family in FAMILIES:
        for weight in FONT_FILES[family][1]:
            font_manager.fontManager.addfont(font_path(family, weight))


def figure(
    width: int, height: int, family: str = "roboto", ground: str = "#ffffff", ink: str = "#333333"
) -> tuple[Any, Any]:
    """A figure of this many pixels and its axes."""
    plt.rcdefaults()
    colours: dict[Any, Any] = {f"{part}.color": ink for part in ("text", "xtick", "ytick")}
    colours |= {"axes.labelcolor": ink, "axes.edgecolor": ink, "figure.facecolor": ground, "axes.facecolor": ground}
    plt.rcParams.update(colours | {"font.family": FAMILIES[family], "font.size": 11, "axes.titlesize": 15})
    plt.rcParams["axes.titleweight"] = 600 if family == "manrope" else "bold"
    plt.rcParams["figure.constrained_layout.h_pad"] = plt.rcParams["figure.constrained_layout.w_pad"] = 0.16
    return plt.subplots(figsize=(width / 100, height / 100), dpi=100, layout="constrained")


def open_frame(axes: Any) -> None:
    """Leave only the left and lower edge of the plot."""
    axes.spines[["top", "right"]].set_visible(False)


def rendered(fig: Any) -> Image.Image:
    """The figure as an image."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    plt.close(fig)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")


@CHARTS.add(BAR)
def bars_monthly(rng: random.Random) -> Image.Image:
    fig, axes = figure(640, 440)
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"]
    bars = axes.bar(months, [42, 48, 61, 55, 72, 80, 68, 91], color="#2a9d8f", width=0.65)
    axes.bar_label(bars, padding=2)
    axes.set(title="Monthly sales", ylabel="Units sold (thousands)")
    open_frame(axes)
    return rendered(fig)


@CHARTS.add(BAR)
def bars_horizontal(rng: random.Random) -> Image.Image:
    fig, axes = figure(720, 480, "source", "#fff8ee", "#4a3b2a")
    names = ["Portugal", "Hungary", "Ireland", "Denmark", "Austria", "Norway", "Estonia"]
    axes.barh(names, [21, 27, 34, 46, 52, 68, 74], color=["#e76f51"] * 6 + ["#8c2f1b"])
    axes.set(title="Journeys made by train", xlabel="Share of travellers (%)")
    axes.grid(axis="x", color="#e6d8c3")
    axes.set_axisbelow(True)
    open_frame(axes)
    return rendered(fig)


@CHARTS.add(BAR)
def bars_grouped(rng: random.Random) -> Image.Image:
    fig, axes = figure(760, 460, "manrope")
    places, values = np.arange(5), [[12, 19, 15, 22, 17], [9, 14, 18, 25, 21], [15, 11, 13, 18, 26]]
    for index, (row, colour) in enumerate(zip(values, ["#264653", "#f4a261", "#a8dadc"], strict=True)):
        axes.bar(places + (index - 1) * 0.27, row, 0.25, label=str(2022 + index), color=colour)
    axes.set_xticks(places, ["North", "East", "South", "West", "Centre"])
    axes.set(title="Visitors by district", ylabel="Thousands")
    axes.legend(ncols=3, frameon=False, loc="upper left")
    axes.set_ylim(0, 32)
    axes.grid(axis="y", alpha=0.3)
    return rendered(fig)


@CHARTS.add(BAR)
def bars_stacked_dark(rng: random.Random) -> Image.Image:
    fig, axes = figure(680, 500, "roboto", "#1b1f2a", "#dfe4ee")
    years, floor = [str(year) for year in range(2016, 2026)], np.zeros(10)
    start = np.array([[20, 6, 3], [31, 44, 12]])
    for name, low, high, colour in zip(
        ["Wind", "Solar", "Storage"], *start, ["#5aa9ff", "#ffd166", "#ef476f"], strict=True
    ):
        row = np.linspace(low, high, 10) + numpy_rng(name).uniform(-2, 2, 10)
        axes.bar(years, row, bottom=floor, label=name, color=colour)
        floor = floor + row
    axes.set(title="Installed power", ylabel="GW")
    axes.legend(frameon=False, loc="upper left")
    open_frame(axes)
    return rendered(fig)


@CHARTS.add(LINE)
def lines_temperature(rng: random.Random) -> Image.Image:
    fig, axes = figure(720, 440)
    months = np.arange(1, 13)
    for name, mean, swing, colour in (
        ("Lisbon", 17, 6, "#e63946"),
        ("Warsaw", 9, 11, "#457b9d"),
        ("Reykjavik", 5, 6, "#6a994e"),
    ):
        axes.plot(months, mean - swing * np.cos((months - 1) / 6 * np.pi), marker="o", label=name, color=colour)
    axes.set(title="Mean temperature", xlabel="Month", ylabel="°C", xticks=months)
    axes.grid(alpha=0.3)
    axes.legend()
    return rendered(fig)


@CHARTS.add(LINE)
def line_stock_dark(rng: random.Random) -> Image.Image:
    fig, axes = figure(760, 420, "source", "#0f1419", "#b8c4d0")
    price = 100 + np.cumsum(numpy_rng("stock").normal(0.25, 2.2, 240))
    axes.plot(price, color="#00c896", linewidth=1.6)
    axes.fill_between(np.arange(240), price, price.min() - 4, color="#00c896", alpha=0.15)
    axes.set(title="ORBT share price", ylabel="USD", xlabel="Trading day")
    axes.set_ylim(price.min() - 4, price.max() + 4)
    axes.grid(color="#26303a")
    return rendered(fig)


@CHARTS.add(LINE)
def lines_forecast(rng: random.Random) -> Image.Image:
    fig, axes = figure(680, 460, "serif", "#fffdf7")
    years = np.arange(2000, 2041)
    past = 3 + 0.08 * (years - 2000) + numpy_rng("forecast").normal(0, 0.12, 41)
    axes.plot(years[:26], past[:26], color="#111111", linewidth=2)
    for slope, colour, label in ((0.16, "#b5179e", "high"), (0.08, "#7209b7", "medium"), (0.01, "#4361ee", "low")):
        axes.plot(years[25:], past[25] + slope * np.arange(16), "--", color=colour, linewidth=2, label=label)
    axes.axvline(2025, color="#999999", linestyle=":")
    axes.set(title="Water demand, three scenarios", ylabel="km³ per year")
    axes.legend(title="Growth")
    open_frame(axes)
    return rendered(fig)


@CHARTS.add(PIE)
def pie_market(rng: random.Random) -> Image.Image:
    fig, axes = figure(560, 480)
    colours = ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f"]
    axes.pie(
        [38, 24, 18, 12, 8],
        labels=["Alpha", "Beta", "Gamma", "Delta", "Other"],
        autopct="%d%%",
        colors=colours,
        startangle=90,
    )
    axes.set_title("Market share")
    return rendered(fig)


@CHARTS.add(PIE)
def pie_donut_dark(rng: random.Random) -> Image.Image:
    fig, axes = figure(600, 520, "manrope", "#20232f", "#f0f0f5")
    colours = ["#ff6b6b", "#feca57", "#1dd1a1", "#54a0ff"]
    wedges, _ = axes.pie(
        [45, 25, 20, 10],
        colors=colours,
        startangle=40,
        wedgeprops={"width": 0.35, "edgecolor": "#20232f", "linewidth": 4},
    )
    axes.text(0, 0, "€2,480", ha="center", va="center", fontsize=28, weight=600)
    axes.legend(
        wedges,
        ["Rent", "Food", "Travel", "Savings"],
        loc="lower center",
        ncols=4,
        frameon=False,
        bbox_to_anchor=(0.5, -0.08),
    )
    axes.set_title("Where the money went")
    return rendered(fig)


@CHARTS.add(PIE)
def pie_exploded(rng: random.Random) -> Image.Image:
    fig, axes = figure(680, 460, "serif", "#f3efe6")
    colours = ["#6b705c", "#a5a58d", "#cb997e", "#ddbea9", "#b7b7a4", "#7f5539"]
    names = ["Forest", "Meadow", "Town", "Water", "Roads", "Farmland"]
    axes.pie(
        [29, 17, 14, 9, 6, 25], labels=names, explode=[0, 0, 0, 0, 0, 0.14], colors=colours, shadow=True, startangle=200
    )
    axes.set_title("Land use in the valley")
    return rendered(fig)


@CHARTS.add(SCATTER)
def scatter_height(rng: random.Random) -> Image.Image:
    fig, axes = figure(620, 480, "source")
    noise = numpy_rng("height")
    height = noise.normal(172, 9, 160)
    axes.scatter(height, 0.9 * (height - 100) + noise.normal(0, 6, 160), s=26, color="#3d5a80", alpha=0.7)
    axes.set(title="Height and weight", xlabel="Height (cm)", ylabel="Weight (kg)")
    axes.grid(alpha=0.3)
    return rendered(fig)


@CHARTS.add(SCATTER)
def scatter_clusters(rng: random.Random) -> Image.Image:
    fig, axes = figure(640, 520, "roboto", "#fafafa")
    noise = numpy_rng("clusters")
    groups = ((1, 5, "#d62828", "o"), (4, 2, "#f77f00", "s"), (6, 6, "#2a9d8f", "^"), (2, 1, "#6a4c93", "D"))
    for index, (x, y, colour, marker) in enumerate(groups):
        axes.scatter(
            noise.normal(x, 0.6, 50),
            noise.normal(y, 0.6, 50),
            s=30,
            color=colour,
            marker=marker,
            label=f"group {index + 1}",
        )
    axes.legend(loc="lower right")
    axes.set(title="Four clusters", xlabel="component 1", ylabel="component 2")
    return rendered(fig)


@CHARTS.add(SCATTER)
def scatter_bubbles(rng: random.Random) -> Image.Image:
    fig, axes = figure(740, 500, "manrope", "#eef3f7", "#2b3a48")
    noise = numpy_rng("bubbles")
    income, life = noise.uniform(3, 60, 36), noise.normal(0, 2.5, 36)
    colours = noise.choice(["#ef476f", "#ffd166", "#06d6a0", "#118ab2"], 36)
    axes.scatter(
        income,
        58 + 6.2 * np.log(income) + life,
        s=noise.uniform(40, 1500, 36),
        c=colours,
        alpha=0.6,
        edgecolors="#ffffff",
    )
    axes.set(title="Wealth and health of regions", xlabel="Income per person (k$)", ylabel="Life expectancy (years)")
    axes.grid(color="#ffffff", linewidth=1.5)
    axes.set_axisbelow(True)
    open_frame(axes)
    return rendered(fig)
