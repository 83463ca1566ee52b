"""Web pages and desktop programs."""

import random

from PIL import Image

from .canvas import Canvas, blend
from .logins import flat_button, hills
from .model import Catalogue
from .phones import CHAT, avatar

PAGES = Catalogue("web page")


def browser(
    canvas: Canvas, address: str, ground: str = "#dfe3e8", field: str = "#ffffff", ink: str = "#555b64"
) -> float:
    """The frame of a browser at the top; returns the y below it."""
    canvas.rect((0, 0, canvas.width, 40), ground)
    for index, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        canvas.circle((20 + index * 20, 20), 6, colour)
    canvas.rect((90, 8, canvas.width - 40, 32), field, 12)
    canvas.icon((106, 20), "lock", 9, ink)
    canvas.text((118, 20), address, 12, ink)
    return 40


@PAGES.add(CHAT)
def team_chat(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 640, "#ffffff", "source")
    canvas.rect((0, 0, 230, 640), "#3f0e40")
    canvas.text((20, 32), "Tidewater", 20, "#ffffff", "bold")
    for index, name in enumerate(["general", "design", "releases", "random", "support"]):
        y = 92 + index * 32
        if name == "design":
            canvas.rect((8, y - 15, 222, y + 15), "#7c3a7e", 6)
        canvas.text((20, y), f"#  {name}", 17, "#ffffff" if name == "design" else "#cfc3cf")
    canvas.text((20, 272), "Direct messages", 15, "#a995aa", "medium")
    for index, name in enumerate(["Ada Novak", "Ben Okoro", "Chloe Martin", "Dimitri"]):
        y = 306 + index * 32
        canvas.circle((28, y), 5, "#5fd38d" if index != 2 else "#8b6f8d")
        canvas.text((44, y), name, 17, "#cfc3cf")
    canvas.text((254, 30), "# design", 21, "#1d1c1d", "bold")
    canvas.text((254, 54), "12 members  ·  all things visual", 14, "#77757a")
    canvas.line([(230, 72), (1000, 72)], "#e4e2e5")
    talk = [
        ("Ada Novak", "9:02", "Morning! The new onboarding screens are in the shared folder.", "AN", "#d9544f"),
        (
            "Ben Okoro",
            "9:05",
            "Love the illustrations. Could we try the second headline in a lighter weight?",
            "BO",
            "#3b8f6d",
        ),
        (
            "Chloe Martin",
            "9:11",
            "Agreed, and the spacing above the form feels tight on small phones.",
            "CM",
            "#c88a1d",
        ),
        ("Ada Novak", "9:14", "Good catch. I will push an update before lunch.", "AN", "#d9544f"),
        ("Dimitri", "9:30", "Support asked for the same change last week, so thanks!", "DI", "#4f6bd9"),
        ("Ben Okoro", "9:41", "Shipping it on Thursday then?", "BO", "#3b8f6d"),
    ]
    for index, (name, time, words, initials, fill) in enumerate(talk):
        y = 104 + index * 74
        canvas.rect((254, y - 6, 294, y + 34), fill, 8)
        canvas.text((274, y + 14), initials, 16, "#ffffff", "medium", "mm")
        canvas.text((308, y + 2), name, 17, "#1d1c1d", "bold")
        canvas.text((318 + canvas.text_width(name, 17, "bold"), y + 3), time, 13, "#8a888c")
        canvas.text((308, y + 26), words, 17, "#1d1c1d")
    canvas.rect((254, 560, 976, 616), "#ffffff", 8, "#b9b6bb", 1.5)
    canvas.text((272, 588), "Message #design", 17, "#8a888c")
    canvas.icon((950, 588), "paper-plane", 17, "#3f0e40")
    return canvas.finish()


@PAGES.add()
def inbox(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 640, "#f6f8fc")
    canvas.icon((32, 32), "bars", 18, "#5f6368")
    canvas.icon((76, 32), "envelope", 24, "#d64f3f")
    canvas.text((100, 32), "Postbox", 21, "#5f6368")
    canvas.rect((230, 12, 760, 52), "#e8edf4", 20)
    canvas.icon((254, 32), "search", 15, "#5f6368")
    canvas.text((278, 32), "Search mail", 15, "#5f6368")
    avatar(canvas, 960, 32, "T", "#7b5ea7", 17)
    canvas.rect((14, 76, 150, 128), "#ffd9cf", 16)
    canvas.text((60, 102), "Compose", 15, "#3c2420", "medium")
    canvas.icon((38, 102), "plus", 15, "#3c2420")
    folders = [
        ("inbox", "Inbox", "24"),
        ("star", "Starred", ""),
        ("paper-plane", "Sent", ""),
        ("file", "Drafts", "3"),
        ("archive", "Archive", ""),
        ("trash", "Bin", ""),
    ]
    for index, (icon, label, count) in enumerate(folders):
        y = 166 + index * 38
        if not index:
            canvas.rect((0, y - 17, 196, y + 17), "#fbd7cf", 17)
        canvas.icon((32, y), icon, 14, "#444746")
        canvas.text((56, y), label, 14, "#222222", "bold" if not index else "regular")
        canvas.text((182, y), count, 12, "#444746", anchor="rm")
    canvas.rect((210, 68, 984, 624), "#ffffff", 14)
    mails = [
        ("Rail Club", "Your tickets to Vienna", "Coach 21, seats 45 and 46. Please board ten minutes", "11:42"),
        ("Priya Raman", "Re: slides for Monday", "I moved the summary to the front and cut two pages", "10:18"),
        ("City Library", "Two books are due soon", "The following items are due on Friday: The Silent", "09:55"),
        ("Oskar", "Photos from the lake", "Here are the best ones, the rest is in the album", "08:31"),
        ("Garden Weekly", "What to plant in October", "Garlic, tulips and a few surprises for your balcony", "Mon"),
        ("Billing", "Invoice 2087 is ready", "Your monthly statement can now be downloaded from", "Mon"),
        ("Nadia Haddad", "Dinner on Saturday?", "We are trying the new place by the station, join us", "Sun"),
        ("Tax Office", "Confirmation of receipt", "We received your documents and will answer within", "Sun"),
        ("Build server", "Nightly run passed", "All 1,284 checks passed in 14 minutes and 3 seconds", "Sat"),
        ("Yoga Studio", "New timetable", "From next week the early class starts at half past", "Sat"),
        ("Leo Brandt", "Lost umbrella", "Did I leave a green umbrella at your place? It has", "Fri"),
        ("Book Circle", "November vote", "Pick one of the three novels by the end of the week", "Fri"),
    ]
    for index, (sender, subject, start, when) in enumerate(mails):
        y = 94 + index * 45
        weight = "bold" if index in (0, 1, 4, 8) else "regular"
        canvas.rect((228, y - 7, 242, y + 7), None, 2, "#9aa0a6", 1.3)
        canvas.icon(
            (262, y), "star", 13, "#f4b400" if index in (1, 6) else "#c4c7c5", "bold" if index in (1, 6) else "regular"
        )
        canvas.text((284, y), sender, 14, "#202124", weight)
        canvas.text((420, y), subject, 14, "#202124", weight)
        canvas.text((430 + canvas.text_width(subject, 14, weight), y), f"- {start}"[:46], 14, "#6f7377")
        canvas.rect((918, y - 15, 976, y + 15), "#ffffff")
        canvas.text((968, y), when, 12, "#444746", weight, "rm")
        canvas.line([(210, y + 22), (984, y + 22)], "#eef0f2")
    return canvas.finish()


def _goods(canvas: Canvas, kind: str, x: float, y: float, fill: str) -> None:
    dark = blend(fill, "#000000", 0.25)
    if kind == "vase":
        canvas.ellipse((x - 34, y - 30, x + 34, y + 50), fill)
        canvas.rect((x - 14, y - 56, x + 14, y - 10), fill, 5)
        canvas.ellipse((x - 20, y - 62, x + 20, y - 50), dark)
    elif kind == "lamp":
        canvas.polygon([(x - 20, y - 56), (x + 20, y - 56), (x + 44, y), (x - 44, y)], fill)
        canvas.rect((x - 3, y, x + 3, y + 46), dark)
        canvas.ellipse((x - 26, y + 42, x + 26, y + 54), dark)
    elif kind == "chair":
        canvas.rect((x - 32, y - 58, x + 32, y + 4), fill, 12)
        canvas.rect((x - 38, y + 2, x + 38, y + 16), dark, 6)
        for dx in (-30, 26):
            canvas.rect((x + dx, y + 14, x + dx + 5, y + 54), dark)
    elif kind == "clock":
        canvas.circle((x, y), 52, fill)
        canvas.circle((x, y), 43, "#fffdf8")
        canvas.line([(x, y), (x, y - 30)], "#333333", 3)
        canvas.line([(x, y), (x + 20, y + 10)], "#333333", 3)
    elif kind == "rug":
        canvas.rect((x - 62, y - 38, x + 62, y + 38), fill, 3)
        for dx in range(-50, 51, 20):
            canvas.polygon([(x + dx - 8, y), (x + dx, y - 24), (x + dx + 8, y), (x + dx, y + 24)], dark)
    else:
        canvas.rect((x - 46, y - 36, x + 46, y + 36), fill, 22)
        canvas.line([(x - 30, y - 20), (x + 30, y + 20)], dark, 2)
        canvas.line([(x - 30, y + 20), (x + 30, y - 20)], dark, 2)


@PAGES.add()
def shop_grid(rng: random.Random) -> Image.Image:
    canvas = Canvas(960, 760, "#fbf9f6", "manrope")
    top = browser(canvas, "nordhus.example/living")
    canvas.text((40, top + 36), "nordhus", 25, "#2d2a26", "bold")
    canvas.text((480, top + 36), "Living     Kitchen     Bedroom     Outdoor     Sale", 14, "#5b564f", anchor="mm")
    canvas.icon((908, top + 36), "cart", 18, "#2d2a26")
    canvas.icon((866, top + 36), "search", 17, "#2d2a26")
    canvas.text((40, top + 96), "Living room", 27, "#2d2a26", "bold")
    canvas.text((920, top + 96), "48 products   Sort: newest", 13, "#8a847b", anchor="rm")
    goods = [
        ("vase", "Vase Alba", "24.90", "#c96f4a"),
        ("lamp", "Lamp Fjord", "79.00", "#e3b23c"),
        ("chair", "Chair Moss", "149.00", "#6d8f6a"),
        ("clock", "Clock Tid", "39.50", "#8c5a3c"),
        ("rug", "Rug Kilim", "119.00", "#b3474f"),
        ("cushion", "Cushion Lin", "18.00", "#7a86a8"),
        ("lamp", "Lamp Ember", "64.00", "#b5654a"),
        ("vase", "Vase Sea", "31.00", "#4f8a93"),
    ]
    for index, (kind, name, price, fill) in enumerate(goods):
        x, y = 40 + index % 4 * 224, top + 130 + index // 4 * 290
        canvas.rect((x, y, x + 208, y + 200), blend(fill, "#ffffff", 0.86), 8)
        _goods(canvas, kind, x + 104, y + 102, fill)
        canvas.text((x, y + 222), name, 15, "#2d2a26", "medium")
        canvas.text((x, y + 245), f"€{price}", 15, "#5b564f")
        for star in range(5):
            canvas.icon((x + 142 + star * 14, y + 223), "star", 9, "#e3b23c" if star < 4 else "#d9d4cc")
    return canvas.finish()


@PAGES.add()
def product_page(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 680, "#ffffff", "source")
    canvas.rect((0, 0, 1000, 56), "#1c1c1c")
    canvas.text((30, 28), "TRAILWORKS", 21, "#ffffff", "bold")
    canvas.text((970, 28), "Men   Women   Kids   Repair   Cart (2)", 16, "#dddddd", anchor="rm")
    canvas.text((30, 84), "Home / Bags / Backpacks", 15, "#888888")
    canvas.rect((30, 106, 530, 606), "#eceff0", 6)
    canvas.rect((180, 190, 380, 540), "#d2572f", 60)
    canvas.rect((205, 380, 355, 510), "#b34522", 18)
    canvas.rect((205, 240, 355, 350), "#de6a44", 18)
    canvas.line([(215, 400), (345, 400)], "#2b2b2b", 4)
    canvas.line([(215, 262), (345, 262)], "#2b2b2b", 4)
    canvas.arc((280, 190), 34, 180, 360, "#2b2b2b", 9)
    for index, fill in enumerate(("#d2572f", "#3c4f45", "#2f3b52", "#b9a27a")):
        canvas.rect((30 + index * 70, 618, 90 + index * 70, 668), "#eceff0", 4, "#1c1c1c" if not index else None, 2)
        canvas.rect((50 + index * 70, 628, 70 + index * 70, 660), fill, 7)
    canvas.text((570, 130), "Ridge 28 L backpack", 33, "#1c1c1c", "bold")
    for star in range(5):
        canvas.icon((578 + star * 20, 168), "star", 14, "#c98a1b")
    canvas.text((678, 168), "212 reviews", 16, "#888888")
    canvas.text((570, 214), "$ 129.00", 29, "#1c1c1c", "medium")
    text = (
        "A light day pack with a padded back, two bottle pockets and a rain cover in its base. "
        "Made from recycled nylon and backed by free repairs for life."
    )
    y = canvas.paragraph((570, 246), text, 390, 18, "#444444")
    canvas.text((570, y + 24), "Colour:  Rust", 17, "#1c1c1c", "medium")
    for index, fill in enumerate(("#d2572f", "#3c4f45", "#2f3b52", "#b9a27a")):
        canvas.circle((586 + index * 44, y + 62), 16, fill)
    canvas.circle((586, y + 62), 20, None, "#1c1c1c", 2)
    canvas.text((570, y + 110), "Size", 17, "#1c1c1c", "medium")
    for index, label in enumerate(("S", "M", "L")):
        canvas.rect(
            (570 + index * 64, y + 128, 624 + index * 64, y + 166),
            "#1c1c1c" if index == 1 else "#ffffff",
            4,
            "#1c1c1c",
            1.5,
        )
        canvas.text((597 + index * 64, y + 147), label, 17, "#ffffff" if index == 1 else "#1c1c1c", anchor="mm")
    flat_button(canvas, (570, y + 194, 960, y + 246), "Add to cart", "#2e7d4f", radius=4, size=20)
    canvas.text((570, y + 274), "Free delivery in 2-3 working days", 15, "#666666")
    return canvas.finish()


def _area(canvas: Canvas, rng: random.Random, box: tuple[float, float, float, float], colour: str, ground: str) -> None:
    count, value, points = 28, 0.5, []
    for index in range(count):
        value = min(0.95, max(0.1, value + rng.uniform(-0.13, 0.16)))
        points.append((box[0] + (box[2] - box[0]) * index / (count - 1), box[3] - (box[3] - box[1]) * value))
    for part in range(4):
        y = box[1] + (box[3] - box[1]) * part / 3
        canvas.line([(box[0], y), (box[2], y)], blend(ground, "#888888", 0.2))
    canvas.polygon([(box[0], box[3]), *points, (box[2], box[3])], blend(ground, colour, 0.25))
    canvas.line(points, colour, 2.5)


@PAGES.add()
def dashboard_light(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 680, "#f4f6f9")
    canvas.rect((0, 0, 200, 680), "#ffffff")
    canvas.circle((38, 38), 14, "#ef6c4d")
    canvas.text((62, 38), "Metrica", 20, "#20242c", "bold")
    for index, (icon, label) in enumerate(
        [
            ("home", "Overview"),
            ("users", "Customers"),
            ("tag", "Orders"),
            ("gift", "Campaigns"),
            ("file", "Reports"),
            ("cog", "Settings"),
        ]
    ):
        y = 104 + index * 44
        if not index:
            canvas.rect((12, y - 18, 188, y + 18), "#fdeae5", 8)
        ink = "#ef6c4d" if not index else "#6a7280"
        canvas.icon((36, y), icon, 15, ink)
        canvas.text((60, y), label, 15, ink, "medium")
    canvas.text((226, 40), "Overview", 24, "#20242c", "bold")
    canvas.text((976, 40), "Last 30 days", 14, "#6a7280", anchor="rm")
    figures = [
        ("Revenue", "$48,290", "+12.4 %"),
        ("Orders", "1,204", "+3.1 %"),
        ("Visitors", "36.9 k", "-1.8 %"),
        ("Refunds", "0.9 %", "-0.2 %"),
    ]
    for index, (name, value, change) in enumerate(figures):
        x = 226 + index * 190
        canvas.rect((x, 72, x + 176, 172), "#ffffff", 10)
        canvas.text((x + 16, 96), name, 14, "#6a7280")
        canvas.text((x + 16, 126), value, 25, "#20242c", "bold")
        canvas.text((x + 16, 154), change, 13, "#2f9e62" if change[0] == "+" else "#d9534f", "medium")
    canvas.rect((226, 190, 976, 424), "#ffffff", 10)
    canvas.text((246, 216), "Revenue over time", 16, "#20242c", "medium")
    _area(canvas, rng, (246, 244, 956, 404), "#ef6c4d", "#ffffff")
    canvas.rect((226, 442, 976, 664), "#ffffff", 10)
    canvas.text((246, 468), "Latest orders", 16, "#20242c", "medium")
    rows = [
        ("#3021", "Marta Lind", "Desk lamp", "$79.00", "Paid"),
        ("#3020", "Tom Reyes", "Oak shelf", "$210.00", "Paid"),
    ]
    rows += [
        ("#3019", "Yuki Abe", "Tea set", "$46.50", "Pending"),
        ("#3018", "Ines Costa", "Wool throw", "$88.00", "Paid"),
        ("#3017", "Paul Weiss", "Wall clock", "$39.50", "Refund"),
    ]
    colours = {"Paid": "#2f9e62", "Pending": "#d39a1e", "Refund": "#d9534f"}
    for index, row in enumerate(rows):
        y = 504 + index * 33
        for x, cell in zip((246, 340, 520, 700), row, strict=False):
            canvas.text((x, y), cell, 14, "#3c434e")
        canvas.rect((850, y - 11, 930, y + 11), blend(colours[row[4]], "#ffffff", 0.82), 11)
        canvas.text((890, y), row[4], 12, colours[row[4]], "medium", "mm")
    return canvas.finish()


@PAGES.add()
def dashboard_dark(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 640, "#11161f", "source")
    canvas.text((28, 34), "Servers", 26, "#e8edf5", "bold")
    canvas.text((972, 34), "Live   ·   refreshed 5 s ago", 15, "#7f8aa0", anchor="rm")
    panels = [
        ("CPU load", "43 %", "#35d0a5"),
        ("Memory", "11.2 GB", "#f2b84b"),
        ("Network in", "184 Mb/s", "#5aa9ff"),
        ("Errors", "0.02 %", "#ff6b7d"),
    ]
    for index, (name, value, colour) in enumerate(panels):
        x, y = 28 + index % 2 * 480, 64 + index // 2 * 192
        canvas.rect((x, y, x + 464, y + 176), "#1a212d", 8)
        canvas.text((x + 18, y + 24), name, 16, "#9aa6bb")
        canvas.text((x + 446, y + 24), value, 21, colour, "bold", "rm")
        _area(canvas, rng, (x + 18, y + 50, x + 446, y + 160), colour, "#1a212d")
    canvas.rect((28, 448, 972, 616), "#1a212d", 8)
    for index, host in enumerate(["eu-west-01", "eu-west-02", "us-east-01", "ap-south-01"]):
        y = 478 + index * 37
        load = rng.uniform(0.25, 0.95)
        canvas.circle((54, y), 6, "#ff6b7d" if load > 0.85 else "#35d0a5")
        canvas.text((74, y), host, 16, "#d5dceb")
        canvas.rect((240, y - 6, 840, y + 6), "#28313f", 6)
        canvas.rect((240, y - 6, 240 + 600 * load, y + 6), "#f2b84b" if load > 0.7 else "#5aa9ff", 6)
        canvas.text((952, y), f"{load:.0%}", 16, "#d5dceb", anchor="rm")
    return canvas.finish()


STORY = (
    "After nine years of work the northern tram line carried its first passengers on Sunday morning. "
    "Hundreds waited in the rain at the new terminus, some of them since dawn, to ride the opening service. "
    "The line adds eleven stops and cuts the way to the university from forty minutes to eighteen. "
    "City engineers said the tunnel below the old market had been the hardest part, as workers met "
    "medieval cellars that appeared on no map. Traders along the route hope that the customers who left "
    "during the building years will now come back."
)


@PAGES.add()
def news_article(rng: random.Random) -> Image.Image:
    canvas = Canvas(800, 960, "#ffffff", "serif")
    canvas.text((400, 48), "The Daily Ledger", 36, "#111111", "bold", "mm")
    canvas.line([(40, 84), (760, 84)], "#111111", 2)
    canvas.text(
        (400, 104),
        "World     City     Business     Culture     Sport     Opinion",
        14,
        "#444444",
        anchor="mm",
        family="source",
    )
    canvas.line([(40, 124), (760, 124)], "#bbbbbb")
    canvas.text((80, 160), "CITY", 14, "#b3261e", "bold", family="source")
    y = canvas.paragraph(
        (80, 176), "New tram line opens to cheering crowds after nine years", 640, 36, "#111111", "bold", 1.2
    )
    canvas.text((80, y + 16), "By Helen Morrow   ·   12 October, 18:40", 15, "#777777", family="source")
    top = y + 40
    canvas.gradient((80, top, 720, top + 280), "#b9cfe0", "#e9e3d6")
    for x in range(80, 720, 64):
        height = rng.uniform(70, 170)
        canvas.rect((x, top + 230 - height, x + 60, top + 230), blend("#8a7f78", "#c9a98c", rng.random()))
    canvas.rect((80, top + 228, 720, top + 280), "#6b6b6e")
    canvas.rect((220, top + 150, 580, top + 248), "#c62828", 14)
    for x in range(240, 560, 46):
        canvas.rect((x, top + 164, x + 38, top + 200), "#dfeaf2", 4)
    canvas.line([(300, top + 150), (340, top + 110), (420, top + 110)], "#333333", 3)
    canvas.text((80, top + 298), "The first tram leaves the northern terminus.", 14, "#777777", family="source")
    canvas.paragraph((80, top + 324), STORY, 640, 19, "#222222", leading=1.5)
    return canvas.finish()


@PAGES.add()
def news_front(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 720, "#fafafa", "source")
    top = browser(canvas, "today.example", "#30343c", "#454b57", "#d8dbe2")
    canvas.rect((0, top, 1000, top + 52), "#a3161a")
    canvas.text((30, top + 26), "TODAY", 28, "#ffffff", "bold")
    canvas.text((160, top + 26), "News   Sport   Weather   Travel   Science   Video", 17, "#ffe3e3")
    heads = [
        ("Storm warning for the coast as winds pick up", ["#4a5a6a", "#36454f", "#22303a"], "#8a9aa8"),
        ("Hikers return after two nights in the hills", ["#7a9a5a", "#587a3c", "#3a5a26"], "#f2d9a0"),
        ("Desert telescope sees first light", ["#b8784a", "#8f5530", "#5c341d"], "#2b2350"),
        ("Vineyards expect the best harvest in years", ["#9a7ab0", "#6e4a86", "#43285a"], "#ffcf9a"),
        ("How one valley brought its river back", ["#4f9a9a", "#357373", "#1f4f50"], "#cfeaf0"),
    ]
    for index, (head, colours, sky) in enumerate(heads):
        wide = not index
        x, y = (30, top + 80) if wide else (580 + (index - 1) % 2 * 200, top + 80 + (index - 1) // 2 * 300)
        width, height = (520, 400) if wide else (184, 160)
        scene = Canvas(width, height, sky, scale=2)
        hills(scene, rng, colours, height * 0.45, height * 0.2)
        canvas.picture(scene.finish(), (x, y, x + width, y + height))
        canvas.paragraph((x, y + height + 14), head, width, 34 if wide else 19, "#1d1d1d", "bold", 1.18)
        canvas.text((x, y + height + (116 if wide else 106)), "2 h ago  |  Regions", 14, "#888888")
    return canvas.finish()


NOTES = [
    ("Dentist", "#f3a6a0"),
    ("Team lunch", "#a9d8b8"),
    ("Flight to Oslo", "#b9b4ef"),
    ("Rent due", "#f7d488"),
    ("Gym", "#a8d5e8"),
    ("Call Mia", "#f0bddb"),
    ("Review", "#cfd6dc"),
]


def _day(canvas: Canvas, x: float, y: float, day: int, notes: list[tuple[str, str]]) -> None:
    inside, today = 1 <= day <= 31, day == 15
    if today:
        canvas.circle((x + 20, y + 20), 14, "#d6453d")
    ink = "#ffffff" if today else "#23303b" if inside else "#c1c8ce"
    number = day if inside else day + 30 if day < 1 else day - 31
    canvas.text((x + 20, y + 20), str(number), 14, ink, anchor="mm")
    for slot, (name, fill) in enumerate(notes if inside else []):
        canvas.rect((x + 6, y + 42 + slot * 28, x + 126, y + 65 + slot * 28), fill, 5)
        canvas.text((x + 13, y + 54 + slot * 28), name, 12, "#23303b")


@PAGES.add()
def calendar_month(rng: random.Random) -> Image.Image:
    canvas = Canvas(980, 700, "#ffffff", "manrope")
    canvas.text((28, 40), "October 2025", 27, "#23303b", "bold")
    for index, label in enumerate(("Day", "Week", "Month")):
        canvas.rect((700 + index * 84, 24, 780 + index * 84, 56), "#23303b" if index == 2 else "#eef1f3", 8)
        canvas.text((740 + index * 84, 40), label, 14, "#ffffff" if index == 2 else "#54626d", anchor="mm")
    for column, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
        canvas.text((94 + column * 132, 84), name, 13, "#85929c", "medium", "mm")
    for cell in range(35):
        x, y = 28 + cell % 7 * 132, 104 + cell // 7 * 118
        canvas.rect((x, y, x + 132, y + 118), "#fbfbfc" if cell % 7 > 4 else "#ffffff", 0, "#e3e7ea")
        _day(canvas, x, y, cell - 1, rng.sample(NOTES, rng.choice((0, 0, 1, 1, 2))))
    return canvas.finish()


CODE = [
    [("def ", "k"), ("moving_average", "f"), ("(values, window):", "t")],
    [('    """Smooth a list of numbers."""', "s")],
    [("    if ", "k"), ("window < ", "t"), ("1", "n"), (":", "t")],
    [("        raise ", "k"), ("ValueError", "f"), ("(", "t"), ('"window too small"', "s"), (")", "t")],
    [("    total = ", "t"), ("0.0", "n")],
    [("    result = []", "t")],
    [("    for ", "k"), ("index, value ", "t"), ("in ", "k"), ("enumerate", "f"), ("(values):", "t")],
    [("        total += value", "t")],
    [("        if ", "k"), ("index >= window:", "t")],
    [("            total -= values[index - window]", "t")],
    [("        result.append(total / ", "t"), ("min", "f"), ("(index + ", "t"), ("1", "n"), (", window))", "t")],
    [("    return ", "k"), ("result", "t")],
    [],
    [("# a short demonstration", "c")],
    [("if ", "k"), ("__name__ == ", "t"), ('"__main__"', "s"), (":", "t")],
    [
        ("    numbers = [", "t"),
        ("3", "n"),
        (", ", "t"),
        ("8", "n"),
        (", ", "t"),
        ("5", "n"),
        (", ", "t"),
        ("13", "n"),
        ("]", "t"),
    ],
    [("    print", "f"), ("(moving_average(numbers, ", "t"), ("2", "n"), ("))", "t")],
]


@PAGES.add()
def code_editor(rng: random.Random) -> Image.Image:
    canvas = Canvas(960, 620, "#1e1f2b", "source")
    colours = {"k": "#c792ea", "f": "#82aaff", "t": "#d6deeb", "s": "#c3e88d", "n": "#f78c6c", "c": "#697098"}
    canvas.rect((0, 0, 220, 620), "#181924")
    canvas.text((18, 26), "EXPLORER", 13, "#7c8099", "medium")
    for index, (icon, name) in enumerate(
        [
            ("folder", "signals"),
            ("file", "average.py"),
            ("file", "filters.py"),
            ("file", "peaks.py"),
            ("folder", "tests"),
            ("file", "README.md"),
        ]
    ):
        y = 62 + index * 30
        if index == 1:
            canvas.rect((0, y - 15, 220, y + 15), "#2a2c3d")
        canvas.icon((28, y), icon, 12, "#e0a75e" if icon == "folder" else "#82aaff")
        canvas.text((46, y), name, 16, "#c5cbe0")
    canvas.rect((220, 0, 960, 38), "#181924")
    canvas.rect((220, 0, 380, 38), "#1e1f2b")
    canvas.text((300, 19), "average.py", 16, "#d6deeb", anchor="mm")
    for number, line in enumerate(CODE):
        y, x = 66 + number * 29, 282.0
        canvas.text((262, y), str(number + 1), 14, "#4b5070", anchor="rm", family="mono")
        for words, kind in line:
            canvas.text((x, y), words, 15, colours[kind], family="mono")
            x += canvas.text_width(words, 15, family="mono")
    canvas.rect((0, 592, 960, 620), "#6a3fb5")
    canvas.text((14, 606), "main    0 errors    Python 3", 14, "#ffffff")
    canvas.text((946, 606), "Ln 7, Col 24    UTF-8    LF", 14, "#ffffff", anchor="rm")
    return canvas.finish()


@PAGES.add()
def kanban(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 620, "#2f6f6a", "source")
    canvas.text((28, 34), "Website relaunch", 24, "#ffffff", "bold")
    lists = [
        (
            "To do",
            [
                "Write the press note",
                "Choose photographs for the home page",
                "Check the contrast of links",
                "Plan the survey",
            ],
        ),
        ("Doing", ["Move the old blog posts", "Cookie banner wording", "Speed test on slow phones"]),
        ("Review", ["New footer", "Search results page"]),
        ("Done", ["Pick a typeface", "Order the domain", "Site map", "Interview five readers", "Sketch of the menu"]),
    ]
    tags = ["#e5533d", "#f2b134", "#4fb477", "#8a63d2", "#3c91c2"]
    for column, (name, cards) in enumerate(lists):
        x = 28 + column * 240
        canvas.rect((x, 64, x + 226, 96 + len(cards) * 88), "#e9ecef", 8)
        canvas.text((x + 14, 84), name, 18, "#27333d", "bold")
        for index, card in enumerate(cards):
            y = 104 + index * 86
            canvas.rect((x + 10, y, x + 216, y + 76), "#ffffff", 6)
            canvas.rect((x + 22, y + 11, x + 62, y + 18), rng.choice(tags), 3)
            canvas.paragraph((x + 22, y + 26), card, 186, 16, "#27333d", leading=1.25)
            avatar(canvas, x + 200, y + 60, rng.choice("ABJKMS"), rng.choice(tags), 10)
    return canvas.finish()
