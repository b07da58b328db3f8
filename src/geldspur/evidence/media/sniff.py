"""Which files are worth opening as media, and which of libav's readers may do so.

Some of libav's readers follow what a file says: playlists (hls, dash, concat), session descriptions (sdp, rtsp) and
image sequences open other files and hosts. None of them is on this list, and whatever asks libav for a second file is
refused besides (`container.opened`).
"""

HEAD = 4096  # bytes that `maybe_media` wants; fewer will do where the file is shorter

STILL = frozenset([
    "bmp_pipe", "dds_pipe", "dpx_pipe", "exr_pipe", "ico", "j2k_pipe", "jpeg_pipe", "jpegls_pipe", "jpegxl_pipe",
    "pam_pipe", "pbm_pipe", "pcx_pipe", "pgm_pipe", "png_pipe", "ppm_pipe", "psd_pipe", "qoi_pipe", "sgi_pipe",
    "sunrast_pipe", "tiff_pipe", "webp_pipe", "xbm_pipe", "xwd_pipe",
])  # fmt: skip
_MOVING = [
    "apng", "asf", "asf_o", "av1", "avi", "dhav", "dirac", "dv", "flv", "gif", "gxf", "h261", "h263", "h264", "hevc",
    "ivf", "ivr", "jpegxl_anim", "kux", "lmlm4", "m4v", "matroska", "mjpeg", "mov", "mpeg", "mpegts", "mpegvideo",
    "mpjpeg", "mxf", "nsv", "nut", "obu", "ogg", "rm", "smjpeg", "vc1", "vvc", "webp", "wtv", "yuv4mpegpipe",
]  # fmt: skip
_WITH_COVER = ["aiff", "ape", "flac", "mp3", "wav"]  # sound, whose cover is a picture
DEMUXERS = ",".join([*sorted(STILL), *_MOVING, *_WITH_COVER])

_AT_START = (
    b"\xff\xd8\xff",  # JPEG, Motion JPEG
    b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"8BPS", b"\0\0\1\0", b"\0\0\2\0",  # Photoshop, icons
    b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ", b"\xff\x0a", b"\xff\x4f\xff\x51",  # JPEG 2000, JPEG XL
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"SDPX", b"XPDS", b"\x76\x2f\x31\x01", b"qoif", b"DDS ",
    b"\n\5\1\x08",
    b"\x59\xa6\x6a\x95", b"\1\xda",  # Sun raster, SGI
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"RIFF", b"RIFX", b"ON2 ",
    b"FLV\1", b"0&\xb2u\x8ef\xcf\x11",  # Flash video, ASF/WMV
    b"\0\0\1\xba", b"\0\0\1\xb3", b"\0\0\1\xb0", b"\0\0\1\xb5", b"\0\0\1\xb6",  # MPEG program, video, MPEG-4 part 2
    b"\0\0\1\x00", b"\0\0\1\x0f", b"\0\0\1\x06", b"\0\0\1\x09", b"\0\0\1\x67", b"\0\0\1\x27", b"\0\0\1\x40",
    b"\0\0\0\1", b"\0\0\1\xe0",  # raw H.264, HEVC, VVC; a stream cut inside a program
    b"OggS", b".RMF", b".R1M", b"DKIF", b"YUV4MPEG2 ", b"\x06\x0e\x2b\x34", b"nut/multimedia container\0",
    b"\x1f\x07\0", b"\x3f\x07\0", b"\xb7\xd8\0 ", b"NSVf", b"NSVs", b"DHAV", b"\0\0\0\0\1\xbc", b"BBCD", b"KDK\0",
    b"\x12\0\n", b"\0JVT", b"ID3", b"fLaC", b"MAC ", b"FORM", b"RF64", b"--",
)  # fmt: skip
_BOXES = (  # QuickTime's and MP4's: a size, then one of these
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx", b"moof", b"uuid", b"udta", b"junk",
    b"pict", b"meta", b"emsg",
)  # fmt: skip
_ENDINGS = frozenset([
    "264", "265", "3g2", "3gp", "3gpp", "amv", "apng", "asf", "av1", "avc", "avi", "avif", "bmp", "dav", "dib",
    "divx", "dpx", "dv", "dvr", "exr", "f4v", "flv", "gif", "gxf", "h264", "h265", "heic", "heif", "hevc", "hif",
    "ico", "ifo", "insv", "ivf", "j2k", "jfif", "jp2", "jpe", "jpeg", "jpg", "jxl", "k3g", "kux", "lrv", "m1v", "m2t",
    "m2ts", "m2v", "m4a", "m4b", "m4p", "m4v", "mjpeg", "mjpg", "mjp2", "mkv", "mod", "mov", "mp4", "mpe", "mpeg",
    "mpg", "mpv", "mqv", "mts", "mxf", "nsv", "nut", "obu", "ogm", "ogv", "ogx", "pbm", "pcx", "pgm", "png", "ppm",
    "psd", "qt", "rec", "rm", "rmvb", "skm", "svi", "thm", "tif", "tiff", "tod", "trp", "ts", "tts", "vdr", "vob",
    "vro", "webm", "webp", "wmv", "wtv", "xvid", "y4m",
])  # fmt: skip


def maybe_media(head: bytes, name: bytes = b"") -> bool:
    """Whether libav should have a look at a file, by its first bytes (`HEAD` of them), or by a name that says so.

    It says yes to some files that hold no media, and to every container that `fingerprint` can open and a server is
    likely to hold. A name alone is enough: the start of a damaged file may be gone.
    """
    if head.startswith(_AT_START) or head[4:8] in _BOXES or _is_transport_stream(head):
        return True
    return name.rpartition(b".")[2].lower().decode("latin-1") in _ENDINGS if b"." in name else False


def is_certain(head: bytes) -> bool:
    """Whether the first bytes can hardly be anything but media, so that failing to open it is damage."""
    strong = len(max((magic for magic in _AT_START if head.startswith(magic)), key=len, default=b"")) >= 4
    return (strong and not head.startswith(b"\0\0")) or head[:3] == b"\xff\xd8\xff" or head[4:8] in (b"ftyp", b"moov")


def _is_transport_stream(head: bytes) -> bool:
    """MPEG-TS: a sync byte every 188 bytes, or 192 (with times before each packet), or 204."""
    for step, first in ((188, range(188)), (192, range(192)), (204, range(204))):
        for at in first:
            beats = head[at::step]
            if len(beats) >= 5 and beats[:5] == b"GGGGG":
                return True
    return False
