"""Login screens, each of another layout, theme and palette."""

import random

from PIL import Image

from .canvas import Box, Canvas, blend
from .model import Catalogue

LOGINS = Catalogue("login screen")
PROMPT = "login screen"


def field(
    canvas: Canvas,
    box: Box,
    hint: str,
    ink: str,
    fill: str,
    edge: str,
    icon: str = "",
    radius: float = 8,
    size: float = 15,
) -> None:
    """A text field with a hint in it."""
    middle = (box[1] + box[3]) / 2
    canvas.rect(box, fill, radius, edge, 1.2)
    if icon:
        canvas.icon((box[0] + 22, middle), icon, 15, ink)
    canvas.text((box[0] + (42 if icon else 14), middle), hint, size, ink)


def labelled(
    canvas: Canvas, box: Box, label: str, value: str, ink: str, fill: str, edge: str, radius: float = 6
) -> None:
    """A text field under its label."""
    canvas.text((box[0], box[1] - 14), label, 13, ink, "medium")
    field(canvas, box, value, blend(ink, fill, 0.35), fill, edge, radius=radius)


def flat_button(
    canvas: Canvas, box: Box, label: str, fill: str, ink: str = "#ffffff", radius: float = 8, size: float = 16
) -> None:
    """A flat button."""
    canvas.rect(box, fill, radius)
    canvas.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), label, size, ink, "medium", "mm")


def status_bar(canvas: Canvas, ink: str, time: str = "9:41") -> None:
    """The top line of a phone."""
    canvas.text((26, 22), time, 14, ink, "medium")
    for offset, name in ((84, "signal"), (60, "wifi"), (34, "battery")):
        canvas.icon((canvas.width - offset, 22), name, 13, ink)


def checkbox(canvas: Canvas, x: float, y: float, label: str, ink: str, accent: str) -> None:
    """A ticked box and its label."""
    canvas.rect((x, y - 8, x + 16, y + 8), accent, 3)
    canvas.icon((x + 8, y), "check", 9, "#ffffff")
    canvas.text((x + 25, y), label, 13, ink)


@LOGINS.add(PROMPT)
def login_card(rng: random.Random) -> Image.Image:
    canvas = Canvas(900, 640, "#eef1f6")
    canvas.shadow((270, 60, 630, 580), 14, 18, 0.18, 8)
    canvas.rect((270, 60, 630, 580), "#ffffff", 14)
    canvas.circle((450, 125), 32, "#5b3fd6")
    canvas.icon((450, 125), "cube", 30, "#ffffff")
    canvas.text((450, 192), "Welcome back", 26, "#1f2430", "bold", "mm")
    canvas.text((450, 224), "Sign in to Northwind to continue", 15, "#707786", anchor="mm")
    labelled(canvas, (310, 284, 590, 328), "Email", "anna@example.com", "#4a5160", "#ffffff", "#cfd5e0")
    labelled(canvas, (310, 368, 590, 412), "Password", "••••••••••", "#4a5160", "#ffffff", "#cfd5e0")
    checkbox(canvas, 310, 440, "Remember me", "#5a6170", "#5b3fd6")
    canvas.text((590, 440), "Forgot password?", 13, "#5b3fd6", anchor="rm")
    flat_button(canvas, (310, 468, 590, 514), "Sign in", "#5b3fd6")
    canvas.text((450, 548), "New here? Create an account", 13, "#707786", anchor="mm")
    return canvas.finish()


@LOGINS.add(PROMPT)
def login_mobile_dark(rng: random.Random) -> Image.Image:
    canvas = Canvas(390, 780, "#12141c", "manrope")
    status_bar(canvas, "#e8e9ef")
    canvas.gradient((155, 110, 235, 190), "#ff5fa2", "#8a3ffc", 24, "diagonal")
    canvas.icon((195, 150), "bolt", 38, "#ffffff")
    canvas.text((195, 232), "pulse", 34, "#ffffff", "bold", "mm")
    canvas.text((195, 270), "Log in to your account", 15, "#8d92a5", anchor="mm")
    field(canvas, (30, 320, 360, 376), "Username", "#8d92a5", "#1d2130", "#2b3042", "user", 14)
    field(canvas, (30, 392, 360, 448), "Password", "#8d92a5", "#1d2130", "#2b3042", "lock", 14)
    canvas.icon((334, 420), "eye", 15, "#8d92a5")
    canvas.text((360, 478), "Forgot password?", 13, "#c79bff", anchor="rm")
    canvas.gradient((30, 510, 360, 568), "#ff5fa2", "#8a3ffc", 29, "right")
    canvas.text((195, 539), "Log in", 17, "#ffffff", "bold", "mm")
    canvas.text((195, 612), "or continue with", 13, "#6b7085", anchor="mm")
    for x, name in ((115, "envelope"), (195, "phone"), (275, "key")):
        canvas.circle((x, 660), 26, "#1d2130")
        canvas.icon((x, 660), name, 18, "#e8e9ef")
    canvas.text((195, 735), "No account yet?  Sign up", 14, "#8d92a5", anchor="mm")
    return canvas.finish()


@LOGINS.add(PROMPT)
def login_split(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 620, "#ffffff", "source")
    canvas.gradient((0, 0, 480, 620), "#0d7a5f", "#064034", angle="diagonal")
    for _ in range(9):
        x, y, radius = rng.uniform(0, 480), rng.uniform(0, 620), rng.uniform(30, 120)
        canvas.glass((x - radius, y - radius, min(480, x + radius), y + radius), "#ffffff", 0.06, radius)
    canvas.rect((480, 0, 1000, 620), "#ffffff")
    canvas.icon((76, 78), "leaf", 34, "#bff0d4")
    canvas.text((106, 78), "Greenhouse", 28, "#ffffff", "bold")
    canvas.text((60, 300), "Grow your team", 42, "#ffffff", "bold")
    canvas.text((60, 350), "Plan, track and celebrate together.", 20, "#cdeadf")
    canvas.text((560, 120), "Sign in", 38, "#12312a", "bold")
    canvas.text((560, 164), "Use your work account", 18, "#6c7d78")
    labelled(canvas, (560, 230, 920, 278), "Work email", "you@company.com", "#33514a", "#f5f8f7", "#d4dfdb")
    labelled(canvas, (560, 320, 920, 368), "Password", "••••••••", "#33514a", "#f5f8f7", "#d4dfdb")
    canvas.text((920, 392), "Forgot your password?", 15, "#0d7a5f", anchor="rm")
    flat_button(canvas, (560, 424, 920, 476), "Sign in", "#0d7a5f", radius=6, size=19)
    canvas.text((740, 526), "Don't have an account?  Request access", 15, "#6c7d78", anchor="mm")
    return canvas.finish()


@LOGINS.add(PROMPT)
def login_dark_sso(rng: random.Random) -> Image.Image:
    canvas = Canvas(860, 680, "#0d1117")
    canvas.icon((430, 74), "compass", 52, "#f0f6fc")
    canvas.text((430, 136), "Sign in to Orbit", 26, "#f0f6fc", anchor="mm")
    canvas.rect((276, 170, 584, 424), "#161b22", 8, "#30363d")
    canvas.text((300, 200), "Username or email address", 14, "#f0f6fc")
    field(canvas, (300, 216, 560, 252), "", "#f0f6fc", "#0d1117", "#30363d", radius=6)
    canvas.text((300, 284), "Password", 14, "#f0f6fc")
    canvas.text((560, 284), "Forgot password?", 12, "#d29a3a", anchor="rm")
    field(canvas, (300, 300, 560, 336), "", "#f0f6fc", "#0d1117", "#30363d", radius=6)
    flat_button(canvas, (300, 362, 560, 400), "Sign in", "#c4841d", radius=6, size=15)
    canvas.line([(276, 456), (410, 456)], "#30363d")
    canvas.line([(450, 456), (584, 456)], "#30363d")
    canvas.text((430, 456), "or", 13, "#8b949e", anchor="mm")
    for y, name, label in ((480, "key", "Sign in with a passkey"), (530, "users", "Single sign-on")):
        canvas.rect((276, y, 584, y + 40), "#21262d", 6, "#30363d")
        canvas.icon((330, y + 20), name, 14, "#c9d1d9")
        canvas.text((440, y + 20), label, 14, "#c9d1d9", anchor="mm")
    canvas.text((430, 630), "Terms     Privacy     Security     Contact", 12, "#8b949e", anchor="mm")
    return canvas.finish()


@LOGINS.add(PROMPT)
def login_mobile_orange(rng: random.Random) -> Image.Image:
    canvas = Canvas(400, 800, "#ffffff", "manrope")
    canvas.gradient((0, 0, 400, 240), "#ff9a44", "#fc6076")
    canvas.ellipse((-120, 140, 520, 380), "#fc6f6c")
    canvas.ellipse((-120, 215, 520, 455), "#ffffff")
    canvas.rect((0, 335, 400, 800), "#ffffff")
    status_bar(canvas, "#ffffff", "12:08")
    canvas.circle((200, 130), 52, "#ffffff")
    canvas.icon((200, 130), "utensils", 44, "#fb6d5c")
    canvas.text((200, 290), "Hello again!", 30, "#33272a", "bold", "mm")
    canvas.text((200, 326), "Your next meal is one tap away", 14, "#9a8b8e", anchor="mm")
    for y, icon, hint in ((400, "envelope", "maria@mail.com"), (480, "lock", "••••••••")):
        canvas.icon((52, y), icon, 17, "#fb6d5c")
        canvas.text((80, y), hint, 16, "#5a4b4e")
        canvas.line([(40, y + 28), (360, y + 28)], "#e7dcde", 1.5)
    canvas.text((360, 545), "Forgot password?", 13, "#fb6d5c", "medium", "rm")
    canvas.shadow((40, 585, 360, 645), 30, 12, 0.25, 8)
    canvas.gradient((40, 585, 360, 645), "#ff9a44", "#fc6076", 30, "right")
    canvas.text((200, 615), "LOGIN", 17, "#ffffff", "bold", "mm")
    canvas.text((200, 720), "New to Tasty?  Join now", 14, "#9a8b8e", anchor="mm")
    return canvas.finish()


def hills(canvas: Canvas, rng: random.Random, colours: list[str], top: float, step: float) -> None:
    """Layered hills, the nearest last."""
    for index, colour in enumerate(colours):
        y, points = top + index * step, [(0.0, float(canvas.height))]
        for x in range(0, canvas.width + 81, 80):
            points.append((x, y + rng.uniform(-step * 0.6, step * 0.6)))
        canvas.polygon([*points, (canvas.width, canvas.height)], colour)


@LOGINS.add(PROMPT)
def login_bank(rng: random.Random) -> Image.Image:
    canvas = Canvas(1000, 640, "#f7d9c4", "source")
    canvas.gradient((0, 0, 1000, 640), "#f4a98a", "#fbe3cf")
    canvas.circle((720, 190), 70, "#fff1e0")
    hills(canvas, rng, ["#d98c7a", "#a8616b", "#713f5a", "#402a45"], 280, 80)
    canvas.rect((0, 0, 1000, 64), "#7a1230")
    canvas.icon((44, 32), "university", 24, "#ffffff")
    canvas.text((70, 32), "Harbour Bank", 22, "#ffffff", "bold")
    canvas.text((960, 32), "Help   Contact   English", 16, "#f2d5dd", anchor="rm")
    canvas.rect((60, 120, 420, 560), "#ffffff")
    canvas.rect((60, 120, 420, 126), "#7a1230")
    canvas.text((90, 170), "Online banking", 28, "#2b2b2b", "bold")
    canvas.text((90, 206), "Log in securely", 17, "#6b6b6b")
    labelled(canvas, (90, 264, 390, 308), "Customer number", "8 digits", "#444444", "#ffffff", "#9b9b9b", 0)
    labelled(canvas, (90, 348, 390, 392), "Passcode", "••••••", "#444444", "#ffffff", "#9b9b9b", 0)
    flat_button(canvas, (90, 424, 390, 472), "Log in", "#7a1230", radius=0, size=18)
    canvas.text((90, 504), "Forgotten your passcode?", 15, "#7a1230")
    canvas.icon((98, 534), "shield", 14, "#4c8a57")
    canvas.text((114, 534), "Protected by two-step login", 14, "#6b6b6b")
    return canvas.finish()


@LOGINS.add(PROMPT)
def login_dialog(rng: random.Random) -> Image.Image:
    canvas = Canvas(620, 440, "#3f7f7d")
    canvas.rect((70, 50, 550, 390), "#d6d3ce", 0, "#55524d")
    canvas.line([(71, 52), (549, 52)], "#ffffff", 2)
    canvas.line([(72, 51), (72, 389)], "#ffffff", 2)
    canvas.gradient((76, 56, 544, 86), "#6d2077", "#b98cc0", angle="right")
    canvas.text((86, 71), "Log On to Server", 15, "#ffffff", "bold")
    canvas.rect((520, 60, 540, 82), "#d6d3ce", 0, "#55524d")
    canvas.icon((530, 71), "times", 12, "#222222")
    canvas.icon((124, 136), "key", 40, "#b08a1e")
    canvas.text((170, 126), "Enter a user name and password", 15)
    canvas.text((170, 148), "to log on to ARCHIVE-02.", 15)
    for y, label, value in ((200, "User name:", "jsmith"), (248, "Password:", "********")):
        canvas.text((96, y), label, 15)
        canvas.rect((210, y - 15, 520, y + 15), "#ffffff", 0, "#77736c", 1.5)
        canvas.text((220, y), value, 15)
    checkbox(canvas, 210, 292, "Remember my password", "#222222", "#6d6a64")
    for x, label in ((300, "OK"), (416, "Cancel")):
        canvas.rect((x, 332, x + 104, 364), "#e4e1dc", 2, "#55524d", 1.5)
        canvas.text((x + 52, 348), label, 15, anchor="mm")
    return canvas.finish()
