"""The image formats that datasets read, and those that they recognise but refuse."""

from __future__ import annotations

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "ICO": (".ico",),
    "CUR": (".cur",),
    "ICNS": (".icns",),
    "PCX": (".pcx",),
    "DCX": (".dcx",),
    "PSD": (".psd",),
    "QOI": (".qoi",),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "SUN": (".ras",),
    "MSP": (".msp",),
    "PIXAR": (".pxr",),
    "DDS": (".dds",),
    "BLP": (".blp",),
    "FTEX": (".ftc", ".ftu"),
    "FITS": (".fit", ".fits"),
    "FLI": (".fli", ".flc"),
    "GBR": (".gbr",),
    "XBM": (".xbm",),
    "XPM": (".xpm",),
}
"""Pillow's name of each format that is read, and the endings of its files.

These formats have a signature, and Pillow or a library inside it decodes them. EPS is left out
because Pillow starts Ghostscript for it; WMF, BUFR, GRIB and HDF5 because Pillow leaves them to
other programs and handlers; TGA, IM, PCD, IPTC and SPIDER because any bytes can pass for them.
"""

UNREAD = frozenset(
    (
        *(".heic", ".heif", ".hif", ".jxl", ".jxr", ".svg", ".svgz", ".eps", ".ps", ".ai", ".pdf"),
        *(".wmf", ".emf", ".tga", ".icb", ".vda", ".vst", ".pcd", ".im", ".iim", ".grib", ".bufr"),
        *(".xcf", ".kra", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srf"),
        *(".orf", ".rw2", ".raf", ".pef", ".raw", ".dcm", ".djvu", ".cdr", ".odg", ".mng", ".jng"),
    )
)
"""Endings of image files whose format is not read.

A file with an ending that is neither here nor in `FORMATS` is not an image.
"""

NOT_READ = "format not read"
"""How the reason begins when a file is refused because of its format."""
