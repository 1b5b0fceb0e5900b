"""Draw the street scenes that `zoo demo` segments, so that a photograph of nobody's street has to be shipped.

python tools/make_demo_pictures.py [FOLDER]

A pinhole camera looks down a street; every thing is a polygon on the ground or on a wall along it, with noise of
several scales for texture, haze with distance, and the grain and softness of a small camera.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, SCALE = 480, 360, 3
FOLDER = Path(__file__).parents[1] / "zoo" / "demo" / "pictures" / "street"
SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PERSON = range(10)
"""The classes of CamVid, whose order the label maps have; there is no bicyclist."""
Color = tuple[float, float, float]
Point = tuple[float, float, float]


@dataclass
class Camera:
    """Height above the ground in metres, focal length in pixels, where the horizon and the vanishing point lie."""

    height: float = 1.5
    focal: float = 380.0
    horizon: float = 158.0
    centre: float = 240.0

    def project(self, point: Point) -> tuple[float, float]:
        """Pixel (x, y), times SCALE, of a point: metres to the right, above the ground, ahead."""
        x, y, z = point
        return (
            (self.centre + self.focal * x / z) * SCALE,
            (self.horizon + self.focal * (self.height - y) / z) * SCALE,
        )


def shaded(color: Color, factor: float) -> Color:
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def noise(rng: np.random.Generator, octaves: int, first: int = 4) -> np.ndarray:
    """(H, W) noise around 0, of amplitudes that halve with every octave."""
    total = np.zeros((HEIGHT * SCALE, WIDTH * SCALE), np.float32)
    for octave in range(octaves):
        cells = first * 2**octave
        grid = rng.normal(size=(cells * 3 // 4 + 1, cells + 1)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize(total.shape[::-1], Image.Resampling.BICUBIC)) / 2**octave
    return total / 2


class Scene:
    """A canvas on which textured polygons are put from far to near."""

    def __init__(self, seed: int, light: float, camera: Camera) -> None:
        self.rng = np.random.default_rng(seed)
        self.light = light
        self.camera = camera
        self.canvas = np.zeros((HEIGHT * SCALE, WIDTH * SCALE, 3), np.float32)
        self.labels = np.zeros(self.canvas.shape[:2], np.uint8)
        self.label = SKY
        self.softness, self.grain = 0.55, 3.2
        self.haze: Color = (198, 208, 218)
        self.textures = [noise(self.rng, 8), noise(self.rng, 6, 32), self.rng.normal(size=self.canvas.shape[:2])]

    def paint(self, mask: Image.Image, color: Color, distance: float, rough: float = 6.0, kind: int = 0) -> None:
        """Fill a mask with a colour, its texture and the haze of its distance."""
        box = mask.getbbox()
        if box is None:
            return
        area = (slice(box[1], box[3]), slice(box[0], box[2]))
        alpha = np.asarray(mask.crop(box), np.float32)[..., None] / 255
        fade = 1 - np.exp(-distance / 160)
        base = np.array(color, np.float32) * self.light * (1 - fade) + np.array(self.haze, np.float32) * fade
        texture = (self.textures[kind][area] * rough * (1 - fade))[..., None]
        self.canvas[area] = self.canvas[area] * (1 - alpha) + (base + texture) * alpha
        self.labels[area][alpha[..., 0] > 0.5] = self.label

    def blank(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        mask = Image.new("L", (WIDTH * SCALE, HEIGHT * SCALE))
        return mask, ImageDraw.Draw(mask)

    def polygon(self, points: list[Point], color: Color, rough: float = 6.0, kind: int = 0) -> None:
        mask, draw = self.blank()
        draw.polygon([self.camera.project(point) for point in points], fill=255)
        self.paint(mask, color, min(point[2] for point in points), rough, kind)

    def ground(self, left: float, right: float, near: float, far: float, color: Color, rough: float = 7.0) -> None:
        corners: list[Point] = [(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)]
        self.polygon(corners, color, rough, kind=2)

    def box(self, x: float, z: float, low: float, high: float, width: float, color: Color, rough: float = 4.0) -> None:
        """An upright rectangle that faces the camera."""
        half = width / 2
        corners: list[Point] = [(x - half, low, z), (x + half, low, z), (x + half, high, z), (x - half, high, z)]
        self.polygon(corners, color, rough)

    def disc(
        self, x: float, y: float, z: float, radius: float, color: Color, rough: float = 4.0, kind: int = 0
    ) -> None:
        mask, draw = self.blank()
        (left, top), (right, bottom) = (
            self.camera.project((x - radius, y + radius, z)),
            self.camera.project((x + radius, y - radius, z)),
        )
        draw.ellipse((left, top, right, bottom), fill=255)
        self.paint(mask, color, z, rough, kind)

    # --- things -------------------------------------------------------------------------------------------------

    def sky(self, top: Color, bottom: Color, clouds: float) -> None:
        height = int(self.camera.horizon * SCALE) + 6
        share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 0.8
        gradient = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
        white = np.clip(self.textures[0][:height] * 0.9 + clouds, 0, 1)[..., None] * 0.8
        self.canvas[:height] = gradient * (1 - white) + np.array((240, 243, 246), np.float32) * white

    def facade(self, side: float, near: float, far: float, high: float, wall: Color) -> None:
        """A house along the street with rows of windows, a plinth and an eave."""
        self.label = BUILDING
        self.polygon([(side, 0, near), (side, high, near), (side, high, far), (side, 0, far)], wall, 9)
        across = side + np.sign(side) * 9
        self.polygon([(side, 0, near), (across, 0, near), (across, high, near), (side, high, near)], wall, 9)
        dark = tuple(value * 0.62 for value in wall)
        self.polygon([(side, 0, near), (side, 0.7, near), (side, 0.7, far), (side, 0, far)], dark, 6)  # type: ignore[arg-type]
        self.polygon(
            [(side, high - 0.35, near), (side, high, near), (side, high, far), (side, high - 0.35, far)], dark, 4
        )  # type: ignore[arg-type]
        storey, first = 3.1, 1.0
        for level in range(int((high - 1.2) // storey)):
            z = near + 0.8
            while z + 1.3 < far:
                low = first + level * storey
                glass = self.rng.uniform(35, 80)
                frame: list[Point] = [(side, low - 0.1, z - 0.1), (side, low + 1.75, z - 0.1)]
                frame += [(side, low + 1.75, z + 1.2), (side, low - 0.1, z + 1.2)]
                self.polygon(frame, (205, 203, 196), 3)
                pane: list[Point] = [(side, low, z), (side, low + 1.6, z), (side, low + 1.6, z + 1.1)]
                self.polygon([*pane, (side, low, z + 1.1)], (glass, glass * 1.05, glass * 1.15), 10)
                z += 2.4

    def tree(self, x: float, z: float, high: float, green: Color) -> None:
        self.label = TREE
        self.box(x, z, 0, high * 0.5, 0.28, (78, 62, 48), 8)
        for _ in range(70):
            angle, radius = self.rng.uniform(0, 2 * np.pi), high * 0.3 * np.sqrt(self.rng.uniform())
            color = shaded(green, float(self.rng.uniform(0.55, 1.15)))
            x_leaf, y_leaf = x + radius * np.cos(angle), high * 0.7 + radius * np.sin(angle) * 0.9
            self.disc(x_leaf, y_leaf, z, high * self.rng.uniform(0.04, 0.1), color, 26, kind=1)

    def car(self, x: float, z: float, color: Color) -> None:
        """Seen from behind: shadow, wheels, body, cabin, window, lights, plate."""
        self.label = ROAD
        self.ground(x - 0.95, x + 0.95, z - 0.1, z + 1.6, (38, 38, 40), 3)
        self.label = CAR
        for wheel in (-0.68, 0.68):
            self.box(x + wheel, z, 0.0, 0.5, 0.24, (24, 24, 26), 3)
        body: list[Point] = [(x - 0.84, 0.28, z), (x + 0.84, 0.28, z), (x + 0.87, 0.75, z), (x + 0.8, 0.98, z)]
        self.polygon([*body, (x - 0.8, 0.98, z), (x - 0.87, 0.75, z)], color, 5)
        self.polygon([(x - 0.76, 0.96, z), (x + 0.76, 0.96, z), (x + 0.58, 1.46, z), (x - 0.58, 1.46, z)], color, 5)
        glass: list[Point] = [(x - 0.66, 0.99, z), (x + 0.66, 0.99, z), (x + 0.52, 1.38, z), (x - 0.52, 1.38, z)]
        self.polygon(glass, (46, 54, 62), 8)
        self.box(x, z, 0.28, 0.48, 1.66, shaded(color, 0.75), 3)
        for light in (-0.7, 0.7):
            self.box(x + light, z, 0.66, 0.88, 0.2, (172, 30, 28), 4)
        self.box(x, z, 0.55, 0.67, 0.5, (222, 205, 92), 3)

    def post(self, x: float, z: float, high: float, width: float = 0.12) -> None:
        self.label = POLE
        self.box(x, z, 0, high, width, (92, 94, 96), 3)

    def lamp(self, x: float, z: float, high: float = 7.0) -> None:
        self.post(x, z, high, 0.14)
        self.box(x - np.sign(x) * 0.6, z, high - 0.12, high, 1.3, (96, 98, 100), 3)

    def sign(self, x: float, z: float, color: Color) -> None:
        self.post(x, z, 2.5, 0.09)
        self.label = SIGN
        self.disc(x, 2.6, z, 0.36, color, 3)
        self.disc(x, 2.6, z, 0.25, (236, 236, 232), 3)

    def person(self, x: float, z: float, coat: Color) -> None:
        self.label = PERSON
        for leg in (-0.11, 0.11):
            self.box(x + leg, z, 0, 0.85, 0.17, (44, 46, 58), 5)
        chest: list[Point] = [(x - 0.2, 0.8, z), (x + 0.2, 0.8, z), (x + 0.25, 1.42, z), (x - 0.25, 1.42, z)]
        self.polygon(chest, coat, 6)
        self.disc(x, 1.58, z, 0.13, (188, 148, 124), 4)

    def fence(self, side: float, near: float, far: float) -> None:
        self.label = FENCE
        for rail in (0.35, 0.95):
            bar: list[Point] = [
                (side, rail, near),
                (side, rail + 0.1, near),
                (side, rail + 0.1, far),
                (side, rail, far),
            ]
            self.polygon(bar, (70, 74, 76), 3)
        z = near
        while z < far:
            self.polygon([(side, 0, z), (side, 1.1, z), (side, 1.1, z + 0.1), (side, 0, z + 0.1)], (66, 70, 72), 3)
            z += 0.45

    def finished(self) -> Image.Image:
        """At the camera's resolution: softened, with grain and darker corners."""
        picture = Image.fromarray(np.clip(self.canvas, 0, 255).astype(np.uint8))
        picture = picture.filter(ImageFilter.GaussianBlur(self.softness * SCALE))
        small = np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.float32)
        y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
        darkened = small * (1 - 0.14 * (x**2 + y**2))[..., None]
        grained = darkened + self.rng.normal(scale=self.grain, size=small.shape)
        grained += self.rng.normal(scale=self.grain, size=(*x.shape, 1))
        return Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8))


def street(scene: Scene, walls: list[Color], *, road: float, pavement: float) -> None:
    """The ground, and houses on both sides from far to near."""
    scene.label = PAVEMENT
    scene.ground(-60, 60, 2.0, 400, (96, 94, 90))
    scene.ground(-road - pavement, road + pavement, 2.0, 400, (150, 143, 136), 8)
    scene.label = ROAD
    scene.ground(-road, road, 2.0, 400, (88, 88, 92), 8)
    scene.label = PAVEMENT
    for edge in (-road, road):
        scene.ground(edge - 0.12, edge + 0.12, 2.0, 300, (172, 168, 160), 4)
    z = 120.0
    while z > 4:
        length = scene.rng.uniform(9, 17)
        for side in (-1, 1):
            wall = walls[scene.rng.integers(len(walls))]
            high = float(scene.rng.uniform(7, 13))
            scene.facade(side * (road + pavement), max(z - length, 5.0), z, high, wall)
        z -= length + 0.3
    z, scene.label = 4.0, ROAD
    while z < 120:
        scene.ground(-0.07, 0.07, z, z + 2.2, (214, 212, 206), 5)
        z += 5.0


def morning() -> Scene:
    """A street of brick houses: cars parked, one ahead, trees, people on the pavement."""
    scene = Scene(7, 0.95, Camera())
    scene.sky((118, 158, 206), (212, 222, 232), 0.25)
    street(scene, [(150, 112, 92), (172, 150, 124), (134, 104, 92), (186, 170, 146)], road=4.6, pavement=2.6)
    for z in (70, 48, 30):
        scene.tree(-6.0, z, 7.5, (72, 98, 52))
        scene.tree(6.2, z - 6, 8.0, (66, 94, 50))
    for z, side in ((40, 1), (26, -1), (17, 1)):
        scene.lamp(side * 5.2, z)
    for x, z, color in ((3.5, 38, (58, 62, 70)), (3.5, 27, (150, 152, 156)), (-3.6, 24, (40, 58, 92))):
        scene.car(x, z, color)
    scene.person(5.9, 19, (52, 58, 82))
    scene.person(-5.7, 15, (120, 48, 44))
    scene.car(1.9, 19, (150, 34, 36))
    scene.car(-3.5, 11.5, (74, 78, 84))
    scene.sign(5.0, 13, (196, 34, 36))
    scene.person(5.8, 10, (46, 74, 66))
    return scene


def overcast() -> Scene:
    """A wider, greyer road with a fence, a park on one side, and traffic ahead."""
    scene = Scene(21, 0.8, Camera(horizon=150.0, centre=262.0))
    scene.haze = (192, 196, 200)
    scene.sky((176, 184, 194), (222, 226, 230), 0.6)
    street(scene, [(164, 156, 144), (138, 128, 120), (178, 160, 138)], road=5.4, pavement=2.8)
    for z in (90, 74, 60, 47, 36, 27):
        scene.tree(-8.4, z, 9.5, (58, 84, 46))
        scene.tree(-10.8, z - 4, 9.0, (66, 92, 50))
    scene.fence(-5.8, 12, 60)
    for z in (44, 25):
        scene.lamp(6.0, z, 7.5)
    for x, z, color in ((-2.0, 44, (200, 200, 202)), (2.2, 32, (44, 46, 50)), (4.4, 21, (110, 116, 124))):
        scene.car(x, z, color)
    scene.person(7.0, 24, (90, 90, 96))
    scene.person(6.6, 15, (44, 50, 86))
    scene.car(2.0, 15, (208, 208, 206))
    scene.sign(5.9, 12, (34, 68, 150))
    return scene


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for part in ("images", "masks"):
        (folder / part / "val").mkdir(parents=True, exist_ok=True)
    for draw in (morning, overcast):
        scene = draw()
        scene.finished().save(folder / "images" / "val" / f"{draw.__name__}.jpg", quality=92, subsampling=0)
        centres = scene.labels[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]
        Image.fromarray(centres).save(folder / "masks" / "val" / f"{draw.__name__}.png", optimize=True)
