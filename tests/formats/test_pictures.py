"""Pictures of all kinds: right pixels, every page, and nothing that is too large for memory."""

import io
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from stages.core.errors import InputError
from stages.formats.frames import read_frame
from stages.formats.pictures import MOST_PIXELS, is_picture, load_picture, read_pages

ANIMATED = [("gif", {}), ("webp", {"lossless": True}), ("png", {}), ("tif", {}), ("tif", {"compression": "jpeg"})]


def colours(count: int = 5, size_wh: tuple[int, int] = (24, 16)) -> list[Image.Image]:
    return [Image.new("RGB", size_wh, (40 * index, 100, 200 - 30 * index)) for index in range(count)]


def animation(path: Path, **options: object) -> list[tuple[int, int, int]]:
    first, *others = colours()
    first.save(path, save_all=True, append_images=others, **options)
    return [picture.getpixel((5, 5)) for picture in (first, *others)]


def shown(path: Path) -> list[tuple[int, ...]]:
    return [page.getpixel((5, 5)) for page in read_pages(path)]


# Pages


@pytest.mark.parametrize(("suffix", "options"), ANIMATED)
def test_every_page_is_read_in_order(tmp_path: Path, suffix: str, options: dict) -> None:
    path = tmp_path / f"film.{suffix}"
    expected = np.array(animation(path, **options))
    assert np.abs(np.array(shown(path)) - expected).max() <= 3 * ("compression" in options)


@pytest.mark.parametrize(("suffix", "options"), ANIMATED)
def test_a_frame_with_several_pages_is_refused_by_name(tmp_path: Path, suffix: str, options: dict) -> None:
    path = tmp_path / f"00003.{suffix}"
    animation(path, **options)
    with pytest.raises(InputError, match=r"00003.*several pages.*one picture a frame"):
        read_frame(path)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_an_animation_that_breaks_off_says_so_wherever_it_was_cut(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    whole, content = animation(path), path.read_bytes()
    for length in range(1, len(content) - 12, len(content) // 20):
        path.write_bytes(content[:length])
        pages = []
        with pytest.raises(InputError, match="film"):
            pages.extend(page.getpixel((5, 5)) for page in read_pages(path))
        assert pages == whole[: len(pages)]


def test_an_animation_may_have_a_still_picture_of_its_own_that_is_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    first, *others = colours()
    Image.new("RGB", first.size, "white").save(path, save_all=True, append_images=[first, *others], default_image=True)
    assert shown(path) == [picture.getpixel((5, 5)) for picture in (first, *others)]


def test_smaller_copies_in_a_file_are_no_pages(tmp_path: Path) -> None:
    large, small = colours(1)[0], colours(1, (12, 8))[0]
    large.save(tmp_path / "telephone.mpo", save_all=True, append_images=[small])
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "map.tif"), True) as file:
        large.save(file, format="TIFF")
        file.newFrame()
        small.save(file, format="TIFF", tiffinfo={254: 1})
    for name in ("telephone.mpo", "map.tif"):
        assert len(shown(tmp_path / name)) == 1, name
        assert load_picture(tmp_path / name).size == large.size, name


def test_a_pair_of_a_stereo_camera_is_two_pages(tmp_path: Path) -> None:
    first, second = colours(2)
    first.save(tmp_path / "0.mpo", save_all=True, append_images=[second])
    assert len(shown(tmp_path / "0.mpo")) == 2
    with pytest.raises(InputError, match="several pages"):
        read_frame(tmp_path / "0.mpo")


# Pixels


def test_colours_are_those_that_a_viewer_shows(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:] = (200, 40, 90), (10, 180, 60)
    picture = Image.fromarray(pixels)
    picture.quantize(4).save(tmp_path / "palette.png", transparency=0)
    picture.convert("RGBA").save(tmp_path / "alpha.png")
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    for name in ("palette.png", "alpha.png", "cmyk.jpg"):
        assert np.abs(read_frame(tmp_path / name).astype(int) - pixels).max() <= 4, name
    picture.convert("LA").save(tmp_path / "grey.png")
    assert (read_frame(tmp_path / "grey.png") == np.array(picture.convert("L"))[..., None]).all()


def test_sixteen_bits_of_colour_keep_the_upper_eight(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 51200, 10240, 255) * 4 for _ in range(4))
    (tmp_path / "deep.png").write_bytes(png(4, 4, rows, depth=16))
    assert read_frame(tmp_path / "deep.png")[0, 0].tolist() == [200, 40, 0]


# What a file is


def test_fewer_pixels_are_decoded_where_few_are_enough(tmp_path: Path) -> None:
    whole = Image.radial_gradient("L").resize((640, 400)).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, options in (("plain", {}), ("turned", {"exif": turned})):
        whole.save(tmp_path / f"{name}.jpg", quality=95, **options)
        picture, small = load_picture(tmp_path / f"{name}.jpg"), load_picture(tmp_path / f"{name}.jpg", 90)
        assert small.size == (picture.width // 4, picture.height // 4)
        difference = np.asarray(picture.resize(small.size), float) - np.asarray(small, float)
        assert abs(difference).mean() < 1
    whole.save(tmp_path / "whole.png")
    assert load_picture(tmp_path / "whole.png", 90).size == (640, 400)


def test_pictures_are_known_by_their_content(tmp_path: Path) -> None:
    still = colours(1)[0]
    still.save(tmp_path / "film.mp4", format="PNG")
    still.save(tmp_path / "stream.mjpeg", format="JPEG")
    (tmp_path / "0.png").write_text("no picture")
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "0.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    names = ("film.mp4", "stream.mjpeg", "0.png", "1.png", "0.eps")
    assert [is_picture(tmp_path / name) for name in names] == [True, False, False, False, False]


# Absurd sizes: refused before memory


def png(width: int, height: int, rows: bytes = bytes(1000), depth: int = 8) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def saved(kind: str, **options: object) -> bytearray:
    file = io.BytesIO()
    Image.new("P" if kind == "GIF" else "RGB", (16, 16)).save(file, kind, **options)
    return bytearray(file.getvalue())


def jpeg(width: int, height: int) -> bytes:
    data = saved("JPEG")
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def gif(width: int, height: int) -> bytes:
    data = saved("GIF")
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def bmp(width: int, height: int) -> bytes:
    data = saved("BMP")
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def tiff(width: int, height: int) -> bytes:
    data = saved("TIFF", compression="tiff_deflate")
    at = struct.unpack("<I", data[4:8])[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack("<H", data[at : at + 2])[0], 12):
        tag = struct.unpack("<H", data[entry : entry + 2])[0]
        if tag in (256, 257, 278):  # width, height, rows in a strip
            data[entry + 2 : entry + 4] = struct.pack("<H", 4)
            data[entry + 8 : entry + 12] = struct.pack("<I", width if tag == 256 else height)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    def three(number: int) -> bytes:
        return struct.pack("<I", number)[:3]

    frame = chunk(b"ANMF", bytes(6) + three(15) + three(15) + bytes(4) + bytes(saved("WEBP")[12:]))
    head = chunk(b"VP8X", bytes([2, 0, 0, 0]) + three(min(width, 1 << 14) - 2) + three(min(height, 1 << 14) - 2))
    body = b"WEBP" + head + chunk(b"ANIM", bytes(6)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS: dict[str, Callable[[int, int], bytes]] = {
    "png": png, "jpg": jpeg, "gif": gif, "bmp": bmp, "tif": tiff, "webp": webp
}  # fmt: skip


def test_absurd_pictures_are_refused_before_memory(tmp_path: Path) -> None:
    for suffix, make in BOMBS.items():
        (tmp_path / f"bomb.{suffix}").write_bytes(make(60_000, 60_000))
    program = (
        "import resource, sys; from pathlib import Path; import PIL.Image; PIL.Image.init()\n"
        "from stages.core.errors import InputError; from stages.formats.frames import read_frame\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in sys.argv[1:]:\n"
        "    try: read_frame(Path(name)); sys.exit(f'{name} was read')\n"
        "    except InputError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    files = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", program, *files], capture_output=True, text=True, check=True, preexec_fn=two_gibibytes
    )
    *messages, grown_mib = done.stdout.splitlines()
    assert all(name in said for name, said in zip(files, messages, strict=True))
    assert all(f"{MOST_PIXELS:,} pixels at most" in said for said in messages), messages
    assert int(grown_mib) < 60


def two_gibibytes() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_too_many_pages_are_refused_before_the_first(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    animation(tmp_path / f"film.{suffix}")
    monkeypatch.setattr("stages.formats.pictures.MOST_PAGES", 4)
    with pytest.raises(InputError, match="found 5 pages, expected 4 at most"):
        next(read_pages(tmp_path / f"film.{suffix}"))


def test_a_large_picture_that_is_not_absurd_is_read_without_a_warning(tmp_path: Path) -> None:
    Image.new("1", (10_000, 9_000)).save(tmp_path / "large.png")  # Pillow warns above 89 million pixels
    assert load_picture(tmp_path / "large.png").size == (10_000, 9_000)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_can(tmp_path: Path) -> None:
    animation(tmp_path / "film.avif", quality=100)
    assert len(shown(tmp_path / "film.avif")) == 5
