"""Screens of phone apps."""

import math
import random

from PIL import Image

from .canvas import Canvas, blend
from .logins import status_bar
from .model import Catalogue

PHONES = Catalogue("app screen")
CHAT = "chat app"


def tab_bar(canvas: Canvas, names: list[str], active: int, ground: str, ink: str, accent: str) -> None:
    """The row of icons at the foot of a phone app."""
    top = canvas.height - 64
    canvas.rect((0, top, canvas.width, canvas.height), ground)
    canvas.line([(0, top), (canvas.width, top)], blend(ground, ink, 0.2))
    step = canvas.width / len(names)
    for index, name in enumerate(names):
        canvas.icon((step * (index + 0.5), top + 30), name, 21, accent if index == active else ink)


def avatar(canvas: Canvas, x: float, y: float, initials: str, fill: str, radius: float = 20) -> None:
    """A round picture with initials."""
    canvas.circle((x, y), radius, fill)
    canvas.text((x, y), initials, radius * 0.8, "#ffffff", "medium", "mm")


def bubble(canvas: Canvas, y: float, lines: list[str], mine: bool, fill: str, ink: str, size: float = 15) -> float:
    """A chat bubble; returns the y below it."""
    width = max(canvas.text_width(line, size) for line in lines) + 30
    height = len(lines) * size * 1.4 + 18
    left = canvas.width - width - 16 if mine else 16
    canvas.rect((left, y, left + width, y + height), fill, 17)
    corner = left + width - 16 if mine else left
    canvas.rect((corner, y + height - 16, corner + 16, y + height), fill, 4)
    for index, line in enumerate(lines):
        canvas.text((left + 15, y + 9 + size * 1.4 * (index + 0.5)), line, size, ink)
    return y + height + 10


@PHONES.add(CHAT)
def chat_light(rng: random.Random) -> Image.Image:
    canvas = Canvas(390, 780, "#f7f7fa")
    canvas.rect((0, 0, 390, 98), "#ffffff")
    status_bar(canvas, "#1a1a1a")
    canvas.icon((24, 68), "chevron-left", 18, "#0f8f6f")
    avatar(canvas, 66, 68, "LK", "#ff8a5c")
    canvas.text((96, 60), "Lena Kowalski", 16, "#1a1a1a", "medium")
    canvas.text((96, 80), "online", 12, "#0f8f6f")
    canvas.icon((318, 68), "video", 18, "#0f8f6f")
    canvas.icon((358, 68), "phone", 17, "#0f8f6f")
    canvas.line([(0, 98), (390, 98)], "#e3e3e8")
    canvas.text((195, 122), "Today", 12, "#8c8c94", "medium", "mm")
    theirs, mine = ("#e6e6ec", "#1a1a1a"), ("#12a37f", "#ffffff")
    talk = [
        (["Hey! Are we still on for", "the climbing gym tonight?"], False),
        (["Yes! 7 pm works for me"], True),
        (["Great. Can you bring", "the spare harness?"], False),
        (["Sure, it is in the car already", "since last weekend :)"], True),
        (["Perfect"], False),
        (["Want to grab noodles after?"], False),
        (["Always. My treat this time"], True),
        (["See you there!"], True),
    ]
    y = 142.0
    for lines, is_mine in talk:
        y = bubble(canvas, y, lines, is_mine, *(mine if is_mine else theirs))
    canvas.text((372, y + 4), "Read 18:22", 11, "#8c8c94", anchor="rm")
    canvas.rect((0, 716, 390, 780), "#ffffff")
    canvas.icon((28, 746), "plus", 19, "#0f8f6f")
    canvas.rect((52, 726, 338, 766), "#f0f0f4", 20)
    canvas.text((70, 746), "Message", 15, "#8c8c94")
    canvas.icon((364, 746), "paper-plane", 20, "#0f8f6f")
    return canvas.finish()


@PHONES.add(CHAT)
def chat_dark_group(rng: random.Random) -> Image.Image:
    canvas = Canvas(400, 820, "#0b141a", "source")
    canvas.rect((0, 0, 400, 100), "#1f2c34")
    status_bar(canvas, "#e9edef", "22:47")
    canvas.icon((24, 70), "arrow-left", 18, "#e9edef")
    canvas.circle((68, 70), 21, "#6a5acd")
    canvas.icon((68, 70), "users", 18, "#ffffff")
    canvas.text((100, 62), "Family trip 2025", 18, "#e9edef", "medium")
    canvas.text((100, 83), "Mum, Dad, Ola, Jonas, you", 14, "#8696a0")
    canvas.icon((376, 70), "ellipsis", 18, "#e9edef")
    talk = [
        (["I found a cabin by the lake,", "six beds and a sauna!"], False, "Ola", "#ff9f7f"),
        (["How much per night?"], False, "Dad", "#7fd0ff"),
        (["120 if we take four nights"], False, "Ola", "#ff9f7f"),
        (["That is a steal, book it!"], True, "", ""),
        (["Is there a place to fish?"], False, "Dad", "#7fd0ff"),
        (["A whole lake, Dad"], True, "", ""),
        (["I'll bring the grill"], False, "Jonas", "#9be37f"),
        (["And I the board games"], True, "", ""),
    ]
    y = 118.0
    for lines, mine, name, colour in talk:
        if name:
            canvas.text((20, y + 6), name, 14, colour, "medium")
            y += 18
        y = bubble(canvas, y, lines, mine, "#9a4a1c" if mine else "#1f2c34", "#e9edef", 17)
    canvas.rect((10, 762, 334, 808), "#1f2c34", 23)
    canvas.icon((34, 785), "smile", 19, "#8696a0", "regular")
    canvas.text((58, 785), "Type a message", 17, "#8696a0")
    canvas.icon((308, 785), "paperclip", 18, "#8696a0")
    canvas.circle((366, 785), 23, "#d9722e")
    canvas.icon((366, 785), "microphone", 19, "#ffffff")
    return canvas.finish()


@PHONES.add()
def settings_mobile(rng: random.Random) -> Image.Image:
    canvas = Canvas(390, 800, "#f2f2f7")
    status_bar(canvas, "#111111", "7:30")
    canvas.text((20, 74), "Settings", 32, "#111111", "bold")
    canvas.rect((16, 104, 374, 188), "#ffffff", 12)
    avatar(canvas, 58, 146, "MR", "#8e9aaf", 28)
    canvas.text((100, 136), "Miguel Rosa", 19, "#111111", "medium")
    canvas.text((100, 160), "Account, backup and purchases", 13, "#85858b")
    groups = [
        [("plane", "Flight mode", "#ff9500"), ("wifi", "Wi-Fi", "#30a5c9"), ("signal", "Mobile data", "#34c759")],
        [("bell", "Notifications", "#ff3b30"), ("volume", "Sounds", "#ff2d78"), ("moon", "Focus", "#5856d6")],
        [
            ("cog", "General", "#8e8e93"),
            ("sun", "Display", "#e0a100"),
            ("lock", "Privacy", "#2c8c5a"),
            ("battery", "Battery", "#34c759"),
        ],
    ]
    y = 212
    for group in groups:
        canvas.rect((16, y, 374, y + 50 * len(group)), "#ffffff", 12)
        for index, (icon, label, fill) in enumerate(group):
            middle = y + 50 * index + 25
            canvas.rect((30, middle - 15, 60, middle + 15), fill, 7)
            canvas.icon((45, middle), icon, 14, "#ffffff")
            canvas.text((76, middle), label, 16, "#111111")
            _setting_end(canvas, middle, label)
            if index:
                canvas.line([(76, y + 50 * index), (374, y + 50 * index)], "#e2e2e6")
        y += 50 * len(group) + 22
    return canvas.finish()


def _setting_end(canvas: Canvas, y: float, label: str) -> None:
    switches = {"Flight mode": False, "Mobile data": True}
    if label in switches:
        on = switches[label]
        canvas.rect((312, y - 14, 360, y + 14), "#34c759" if on else "#e3e3e8", 14)
        canvas.circle((346 if on else 326, y), 12, "#ffffff")
        return
    canvas.icon((356, y), "chevron-right", 12, "#c4c4c8")
    if label == "Wi-Fi":
        canvas.text((342, y), "Attic", 15, "#85858b", anchor="rm")


@PHONES.add()
def music_player(rng: random.Random) -> Image.Image:
    canvas = Canvas(390, 800, "#241432", "manrope")
    canvas.gradient((0, 0, 390, 800), "#5a2a4f", "#140c1f")
    status_bar(canvas, "#ffffff", "16:05")
    canvas.icon((30, 70), "chevron-down", 18, "#ffffff")
    canvas.text((195, 70), "Playing from  Night drive", 13, "#e0cfe0", anchor="mm")
    canvas.icon((360, 70), "ellipsis", 18, "#ffffff")
    canvas.shadow((35, 110, 355, 430), 14, 20, 0.5, 12)
    canvas.gradient((35, 110, 355, 430), "#ffb45c", "#c22f6b", 14)
    canvas.circle((195, 285), 90, "#ffe08a")
    for index in range(5):
        canvas.rect(
            (95, 300 + index * 17, 295, 304 + index * 17 + index * 1.6), blend("#ffb45c", "#c22f6b", 0.6 + index * 0.05)
        )
    canvas.text((35, 480), "Paper Lanterns", 24, "#ffffff", "bold")
    canvas.text((35, 512), "The Harbour Lights", 16, "#cbb3cb")
    canvas.line([(35, 560), (355, 560)], "#6f5a78", 4)
    canvas.line([(35, 560), (160, 560)], "#ffffff", 4)
    canvas.circle((160, 560), 8, "#ffffff")
    canvas.text((35, 584), "1:34", 12, "#cbb3cb")
    canvas.text((355, 584), "4:02", 12, "#cbb3cb", anchor="rm")
    canvas.circle((195, 660), 36, "#ffffff")
    canvas.icon((195, 660), "pause", 26, "#241432")
    for x, name, size in ((125, "step-backward", 24), (265, "step-forward", 24), (55, "random", 19), (335, "redo", 19)):
        canvas.icon((x, 660), name, size, "#ffffff")
    canvas.icon((55, 745), "headphones", 18, "#cbb3cb")
    canvas.text((76, 745), "Living room", 13, "#cbb3cb")
    return canvas.finish()


@PHONES.add()
def weather(rng: random.Random) -> Image.Image:
    canvas = Canvas(390, 800, "#4c9be8")
    canvas.gradient((0, 0, 390, 800), "#2f7fd6", "#a5d4f7")
    status_bar(canvas, "#ffffff", "10:12")
    canvas.text((195, 92), "Gdańsk", 30, "#ffffff", anchor="mm")
    canvas.text((200, 172), "18°", 96, "#ffffff", anchor="mm")
    canvas.text((195, 242), "Partly cloudy   H:21°  L:12°", 17, "#eaf4ff", anchor="mm")
    canvas.glass((20, 280, 370, 400), "#ffffff", 0.2, 16)
    hours = [
        ("Now", "cloud", 18),
        ("11", "cloud", 19),
        ("12", "sun", 20),
        ("13", "sun", 21),
        ("14", "sun", 21),
        ("15", "umbrella", 19),
    ]
    for index, (hour, icon, degrees) in enumerate(hours):
        x = 52 + index * 57
        canvas.text((x, 306), hour, 14, "#ffffff", "medium", "mm")
        canvas.icon((x, 340), icon, 21, "#ffe27a" if icon == "sun" else "#ffffff")
        canvas.text((x, 376), f"{degrees}°", 16, "#ffffff", "medium", "mm")
    canvas.glass((20, 420, 370, 770), "#ffffff", 0.2, 16)
    days = [
        ("Today", "cloud", 12, 21),
        ("Tue", "sun", 13, 24),
        ("Wed", "sun", 14, 25),
        ("Thu", "umbrella", 11, 17),
        ("Fri", "bolt", 10, 16),
    ]
    days += [("Sat", "cloud", 9, 18), ("Sun", "sun", 10, 20)]
    for index, (day, icon, low, high) in enumerate(days):
        y = 450 + index * 48
        canvas.text((38, y), day, 17, "#ffffff", "medium")
        canvas.icon((136, y), icon, 19, "#ffe27a" if icon == "sun" else "#ffffff")
        canvas.text((196, y), f"{low}°", 16, "#e0efff", anchor="rm")
        canvas.line([(212, y), (312, y)], "#7fb6e8", 5)
        canvas.line([(212 + (low - 9) * 6, y), (212 + (high - 9) * 6, y)], "#ffd166", 5)
        canvas.text((352, y), f"{high}°", 16, "#ffffff", anchor="rm")
    return canvas.finish()


def _streets(canvas: Canvas, rng: random.Random) -> None:
    for index in range(-2, 14):
        start, lean = index * 62 + rng.uniform(-12, 12), rng.uniform(-30, 30)
        canvas.line([(start, 0), (start + lean + 60, 800)], "#ffffff", 7 if index % 4 else 13)
    for index in range(16):
        start, lean = index * 58 + rng.uniform(-12, 12), rng.uniform(-40, 10)
        canvas.line([(0, start), (400, start + lean)], "#ffffff", 6 if index % 5 else 14)


@PHONES.add()
def map_app(rng: random.Random) -> Image.Image:
    canvas = Canvas(400, 800, "#ebe6dc")
    canvas.polygon([(230, 90), (400, 60), (400, 330), (270, 300)], "#c5e3b4")
    canvas.polygon([(0, 470), (130, 440), (150, 600), (0, 640)], "#c5e3b4")
    _streets(canvas, rng)
    river = [(x, 390 + 50 * math.sin(x / 90)) for x in range(-20, 430, 10)]
    canvas.line(river, "#9ccbe8", 38)
    canvas.line([(60, 800), (110, 300), (300, 210)], "#f7c64f", 13)
    canvas.line([(88, 560), (108, 310), (200, 262), (262, 232)], "#7b4fd6", 8)
    canvas.circle((88, 560), 12, "#ffffff")
    canvas.circle((88, 560), 8, "#7b4fd6")
    canvas.icon((264, 208), "marker", 42, "#d93025")
    canvas.text((310, 150), "City Park", 15, "#3f7a3a", "medium", "mm", "source")
    canvas.text((300, 392), "Old River", 14, "#2f6d93", "medium", "mm", "source")
    canvas.shadow((16, 40, 384, 92), 26, 8, 0.25, 3)
    canvas.rect((16, 40, 384, 92), "#ffffff", 26)
    canvas.icon((44, 66), "search", 17, "#6a6a6a")
    canvas.text((70, 66), "Museum of Clocks", 17)
    canvas.shadow((0, 650, 400, 800), 20, 10, 0.25, -4)
    canvas.rect((0, 650, 400, 830), "#ffffff", 20)
    canvas.text((24, 686), "14 min", 24, "#2b8a3e", "bold")
    canvas.text((112, 687), "(1.2 km)  on foot", 17, "#666666")
    canvas.text((24, 716), "Best route, mostly flat", 14, "#666666")
    canvas.rect((24, 738, 164, 782), "#7b4fd6", 22)
    canvas.icon((60, 760), "location", 15, "#ffffff")
    canvas.text((104, 760), "Start", 17, "#ffffff", "medium", "mm")
    return canvas.finish()
