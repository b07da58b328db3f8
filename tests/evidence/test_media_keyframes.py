"""Fingerprints of files: what is decoded, what damage costs, and that a file can't make the decoder open another."""

import ctypes
import io
import os
import wave
import zlib

import av
import numpy as np
import pytest
from media_clips import RATE, apart, encode, picture, scenes

from geldspur.evidence.media import frames_sha256, maybe_media
from geldspur.evidence.media.container import opened
from geldspur.evidence.media.keyframes import Limits, fingerprint
from geldspur.evidence.media.pdq import pdq
from geldspur.evidence.media.sniff import HEAD
from geldspur.evidence.model import FrameHash

VIDEOS = [
    ("mp4", "libx264", "yuv420p", "h264"),
    ("matroska", "libx264", "yuv420p10le", "h264"),
    ("mpegts", "libx264", "yuv420p", "h264"),
    ("mp4", "libx265", "yuv420p", "hevc"),
    ("webm", "libvpx-vp9", "yuv420p", "vp9"),
    ("avi", "mpeg4", "yuv420p", "mpeg4"),
    ("avi", "mjpeg", "yuvj420p", "mjpeg"),
    ("flv", "flv", "yuv420p", "flv1"),
    ("asf", "wmv2", "yuv420p", "wmv2"),
    ("mpeg", "mpeg2video", "yuv420p", "mpeg2video"),
    ("3gp", "mpeg4", "yuv420p", "mpeg4"),
    ("gif", "gif", "rgb8", "gif"),
]
IMAGES = [
    ("mjpeg", "yuvj420p"),
    ("png", "rgb24"),
    ("png", "gray"),
    ("bmp", "bgr24"),
    ("tiff", "rgb24"),
    ("gif", "rgb8"),
    ("libwebp", "yuv420p"),
]


def of(data, **given):
    return fingerprint(io.BytesIO(data), **given)


def made(container, codec, pixels="yuv420p", frames=None):
    more = {"x265_params": "log-level=none"} if codec == "libx265" else {}
    return encode(frames or scenes(3), container, codec, pixels, g=RATE, **more)


@pytest.mark.parametrize(("container", "codec", "pixels", "name"), VIDEOS)
def test_keyframes_of_each_format_are_the_pictures_that_went_in(container, codec, pixels, name):
    data = made(container, codec, pixels)
    assert maybe_media(data[:HEAD])
    result = of(data)
    assert (result.state, result.facts.codec, result.facts.bad_packets) == ("video", name, 0)
    assert (result.facts.width, result.facts.height) == (320, 240)
    assert len(result.frames) >= 3
    for scene in range(3):
        nearest = min(result.frames, key=lambda frame: abs(frame.at_ms - 1000 * scene))
        step = round((nearest.at_ms - 1000 * scene) * RATE / 1000)
        assert 0 <= step < RATE
        expected = pdq(picture(100 + scene, step=step))
        assert apart(nearest.plain, expected.plain) <= 16
        assert abs(nearest.quality - expected.quality) <= 12


@pytest.mark.parametrize(("codec", "pixels"), IMAGES)
def test_an_image_has_one_frame_at_its_beginning(codec, pixels):
    data = encode([picture(1)], "gif" if codec == "gif" else "image2pipe", codec, pixels)
    result = of(data)
    assert maybe_media(data[:HEAD])
    assert result.facts.width == 320
    assert [frame.at_ms for frame in result.frames] == [0]
    assert apart(result.frames[0].plain, pdq(picture(1)).plain) <= 8
    assert result.state == ("video" if codec == "gif" else "image")  # a GIF may move; libav does not tell


def test_a_hole_in_the_file_costs_the_keyframes_in_it_and_is_counted():
    frames = scenes(9, length=15, width=640, height=480)
    data = encode(frames, "mp4", "libx264", g=15, crf=10, bf=0, preset="ultrafast")
    whole = of(data)
    hole = bytearray(data)
    third = len(data) // 3
    hole[third : 2 * third] = bytes(third)
    salvaged = of(bytes(hole))
    assert salvaged.state == "video"
    assert 4 <= len(salvaged.frames) < len(whole.frames)
    assert salvaged.facts.bad_packets >= len(whole.frames) - len(salvaged.frames) - 1
    assert sum(frame in whole.frames for frame in salvaged.frames) >= 4


def test_a_video_without_any_marked_keyframe_gives_the_first_frame_of_each_second():
    out = io.BytesIO()
    with av.open(io.BytesIO(made("matroska", "mpeg4"))) as source, av.open(out, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.is_keyframe = False
                packet.stream = stream
                target.mux(packet)
    result = of(out.getvalue())
    assert (result.state, [frame.at_ms for frame in result.frames]) == ("video", [0, 1000, 2000])


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", "other"),
        (b"a line of text\n" * 500, "other"),
        (os.urandom(50_000), "other"),
        (b"{" + b'"key": "value", ' * 1000 + b"}", "other"),
        (b"\0" * 50_000, "other"),
        (b"\x89PNG\r\n\x1a\n" + os.urandom(2000), "failed"),
    ],
)
def test_what_is_no_media_is_other_and_what_must_have_been_is_damaged(data, state):
    assert of(data).state == state


def test_a_truncated_file_is_damaged_and_says_so():
    data = made("mp4", "libx264")
    result = of(data[: len(data) // 2])
    assert (result.state, result.reason) == ("failed", "damaged")
    assert result.detail


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\na=control:{}\n",
    "image": "{}\n",
    "smil": '<smil><body><video src="{}"/></body></smil>',
}


class Watch:
    """Counts how often files are opened, by anything in this process or outside."""

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.handle = libc.inotify_init1(os.O_NONBLOCK)
        in_open = 0x20
        assert libc.inotify_add_watch(self.handle, os.fsencode(path), in_open) > 0

    def was_opened(self):
        try:
            return bool(os.read(self.handle, 4096))
        except BlockingIOError:
            return False


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_opens_nothing(name, tmp_path):
    clip = tmp_path / "clip.ts"
    clip.write_bytes(made("mpegts", "libx264"))
    watch = Watch(clip)
    for ending in ("m3u8", "mp4", "mpd", "ffconcat"):
        playlist = tmp_path / f"playlist.{ending}"
        playlist.write_text(PLAYLISTS[name].format(clip))
        with playlist.open("rb") as stream:
            assert fingerprint(stream).state == "other"
    assert not watch.was_opened()


def test_libav_left_alone_does_follow_a_playlist(tmp_path):
    """The control: the watch sees it, and what stops it is the list of readers."""
    clip = tmp_path / "clip.ts"
    clip.write_bytes(made("mpegts", "libx264"))
    watch = Watch(clip)
    playlist = tmp_path / "playlist.m3u8"
    playlist.write_text(PLAYLISTS["hls"].format(clip))
    with av.open(str(playlist)) as container:
        assert container.format.name == "hls"
    assert watch.was_opened()
    with playlist.open("rb") as stream, pytest.raises(av.FFmpegError), opened(stream):
        pass
    assert not watch.was_opened()


def test_a_black_or_still_video_gives_one_row():
    result = of(encode([np.zeros((240, 320), np.uint8)] * 250, "mp4", "libx264", g=10))
    assert (result.state, len(result.frames)) == ("video", 1)
    assert result.facts.keyframes > 1


def test_rows_are_bounded_whatever_the_length():
    frames = [picture(seed) for seed in range(60)]
    data = encode(frames, "avi", "mjpeg", "yuvj420p")
    every = of(data, stage="frame")
    few = of(data, stage="frame", limits=Limits(frames=16))
    assert len(every.frames) == 60
    assert len(few.frames) <= 16
    assert set(few.frames) <= set(every.frames)


def test_times_come_from_the_file_also_for_frames_that_the_decoder_holds_back_to_the_end():
    data = encode(scenes(6), "matroska", "libx264", g=RATE, bf=3)
    assert [frame.at_ms for frame in of(data).frames] == [0, 1000, 2000, 3000, 4000, 5000]


def test_stages_take_each_frame_or_one_a_second():
    data = made("mp4", "libx264")
    assert [frame.at_ms for frame in of(data, stage="second").frames] == [0, 1000, 2000]
    assert of(data, stage="frame").facts.keyframes == 75


def test_a_decompression_bomb_is_refused_by_its_size():
    data = bytearray(encode([picture(1)], "image2pipe", "png", "gray"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert of(bytes(data)).state == "failed"
    assert of(made("mp4", "libx264"), limits=Limits(pixels=1000)).reason == "pixels"


def test_letterboxed_and_mirrored_copies_meet_their_original():
    inner = [picture(100 + scene, width=320, height=240) for scene in range(3) for _ in range(RATE)]
    boxed = [np.pad(np.ascontiguousarray(frame[:, ::-1]), ((60, 60), (0, 0))) for frame in inner]
    original, copy = of(encode(inner, "mp4", "libx264", g=RATE)), of(encode(boxed, "mp4", "libx264", g=RATE))
    assert all(frame.cropped is None for frame in original.frames)
    for one, other in zip(original.frames, copy.frames, strict=True):
        assert apart(one.plain, other.cropped_mirrored) <= 24
        assert apart(one.plain, other.plain) > 31


def test_sound_is_other_and_its_cover_is_an_image():
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    assert of(out.getvalue()).state == "other"


def test_a_digest_of_frames_tells_apart_stage_time_and_bars():
    frame = FrameHash(5, 70, b"a" * 32, b"b" * 32)
    boxed = FrameHash(5, 70, b"a" * 32, b"b" * 32, b"c" * 32, b"d" * 32)
    digests = {frames_sha256([("keyframe", f)]) for f in (frame, boxed)} | {frames_sha256([("second", frame)])}
    assert len(digests) == 3
    later = FrameHash(9, 70, b"a" * 32, b"b" * 32)
    assert frames_sha256([("keyframe", later), ("keyframe", frame)]) == frames_sha256(
        [("keyframe", frame), ("keyframe", later)]
    )


def test_a_name_alone_is_reason_enough_to_look():
    assert maybe_media(b"\0" * 100, b"x/film.MP4")
    assert not maybe_media(b"\0" * 100, b"x/film")
    assert not maybe_media(b"#!/bin/sh\n", b"x/run.sh")
