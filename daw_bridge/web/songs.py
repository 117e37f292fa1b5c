"""The endpoints of one song: samples, peaks, spectrograms, the mix as sound and as strips, downloads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from daw_bridge.control.net.security import is_loopback
from daw_bridge.errors import UsageError
from daw_bridge.web import downloads, pcm, views
from daw_bridge.web.access import Tickets
from daw_bridge.web.answers import FOR_GOOD, NEVER, failed, in_thread, json_body, whole
from daw_bridge.web.helper import Helper
from daw_bridge.web.keep import keep_template
from daw_bridge.web.library import REFERENCE, Library, Song
from daw_bridge.web.mix import parse_mix
from daw_bridge.web.opening import open_session
from daw_bridge.web.overview import level_sizes, peaks, spectrogram
from daw_bridge.web.template_sound import cell, cell_samples

MAX_MIX_CHARACTERS = 60_000


class SongEndpoints:
    """Handlers that need the library and the two helper processes: one for sound, one for pictures and measures."""

    def __init__(self, library: Library, sound: Helper, pictures: Helper) -> None:
        self._library, self._sound, self._pictures = library, sound, pictures
        self._tickets: Tickets[downloads.Download] = Tickets()
        self._warm: set[asyncio.Future[Any]] = set()

    def warm(self) -> None:
        """Start the helpers, with the libraries that they need, before the first question."""
        if not self._warm:
            self._warm = {
                asyncio.ensure_future(self._pictures.ask(level_sizes, 1)),
                asyncio.ensure_future(self._sound.ask(cell_samples, 44_100)),
            }

    def routes(self) -> list[Route]:
        """Song ids hold slashes, so what follows them decides."""
        song = "/api/songs/{id:path}"
        return [
            Route(f"{song}/pcm", self.pcm),
            Route(f"{song}/render", self.render),
            Route(f"{song}/peaks/{{stem}}", self.peaks),
            Route(f"{song}/spectrogram/{{stem}}.png", self.spectrogram),
            Route(f"{song}/measures", self.measures),
            Route(f"{song}/plan", self.plan),
            Route(f"{song}/loudness", self.loudness),
            Route(f"{song}/open", self.open, methods=["POST"]),
            Route(f"{song}/template", self.keep, methods=["POST"]),
            Route(f"{song}/tickets", self.ticket, methods=["POST"]),
            Route(song, self.detail),
        ]

    async def _song(self, request: Request) -> Song:
        song: Song = await in_thread(self._library.song, request.path_params["id"])
        return song

    async def detail(self, request: Request) -> Response:
        """Everything but samples."""
        song = await self._song(request)
        here = request.client is not None and is_loopback(request.client.host)
        return JSONResponse(views.song_detail(song, with_path=here), headers=NEVER)

    async def pcm(self, request: Request) -> Response:
        """All asked stems of a stretch in one body."""
        song = await self._song(request)
        form = request.query_params.get("format", "f32")
        if form not in ("f32", "i16"):
            raise UsageError("format is f32 or i16")
        stems = request.query_params.get("stems", "").split(",")
        begin, count = whole(request, "from"), whole(request, "count")
        body = await in_thread(pcm.stretch, song, stems, begin, count, form)
        return Response(body, media_type="application/octet-stream", headers=_cached_if_versioned(request, song))

    async def render(self, request: Request) -> Response:
        """One cell of the mix as the template makes it."""
        song = await self._song(request)
        begin, size = whole(request, "from"), cell_samples(song.sample_rate_hz)
        if begin % size or begin >= song.length_samples:
            raise UsageError(f"from {begin}: cells begin at multiples of {size}, inside the song")
        mix = _mix_text(request)
        body = await self._sound.ask(cell, str(song.folder), views.version_of(song), mix, begin // size)
        return Response(body, media_type="application/octet-stream", headers=NEVER)

    async def peaks(self, request: Request) -> Response:
        """The pyramid of one stem, or one level of it."""
        song = await self._song(request)
        stem = request.path_params["stem"]
        path = await in_thread(song.audio_file, stem)
        body = await self._pictures.ask(peaks, path, song.audio_key(stem), song.length_samples)
        if "level" in request.query_params:
            sizes, level = level_sizes(song.length_samples), whole(request, "level")
            if level >= len(sizes):
                raise UsageError(f"level {level}: there are {len(sizes)}")
            begin = 2 * sum(sizes[:level])
            body = body[begin : begin + 2 * sizes[level]]
        return Response(body, media_type="application/octet-stream", headers=_cached_if_versioned(request, song))

    async def spectrogram(self, request: Request) -> Response:
        """A picture of one stem, from one sample to another."""
        song = await self._song(request)
        stem = request.path_params["stem"]
        begin, end = whole(request, "from"), min(whole(request, "to"), song.length_samples)
        if end - begin < 1024:
            raise UsageError(f"from {begin} to {end}: less than 1024 samples of the song")
        path = await in_thread(song.audio_file, stem)
        body = await self._pictures.ask(spectrogram, path, song.audio_key(stem), begin, end)
        return Response(body, media_type="image/png", headers=_cached_if_versioned(request, song))

    async def measures(self, request: Request) -> Response:
        """Loudness and true peak of one stem (`stem`)."""
        song = await self._song(request)
        stem = request.query_params.get("stem", REFERENCE)
        path = await in_thread(song.audio_file, stem)
        answer = await self._pictures.ask(views.loudness_view, path, song.audio_key(stem))
        return JSONResponse(answer, headers=_cached_if_versioned(request, song))

    async def loudness(self, request: Request) -> Response:
        """Loudness of the mix, so that the original can be played as loud."""
        song, mix = await self._song(request), _mix_text(request)
        answer = await self._pictures.ask(views.mix_loudness, str(song.folder), views.version_of(song), mix)
        return JSONResponse(answer, headers=NEVER)

    async def plan(self, request: Request) -> Response:
        """The strips of a mix, each equalizer with its filters."""
        song = await self._song(request)
        return JSONResponse(await in_thread(views.plan_view, str(song.folder), _mix_text(request)), headers=NEVER)

    async def open(self, request: Request) -> Response:
        """Start the DAW; only where DAW and page are on this machine."""
        if request.client is None or not is_loopback(request.client.host):
            return failed(403, "only a page on the computer itself may open programs there", UsageError.exit_code)
        song, data = await self._song(request), await json_body(request)
        return JSONResponse({"opened": await in_thread(open_session, song, str(data.get("daw", "")))})

    async def keep(self, request: Request) -> Response:
        """The mix as a template of the user's own."""
        song, data = await self._song(request), await json_body(request)
        mix, name = parse_mix(data.get("mix")), str(data.get("name", "")).strip()

        def keep() -> str:
            return keep_template(song, mix, name, replace_own=data.get("replace") is True).stem

        return JSONResponse({"name": await in_thread(keep)}, 201)

    async def ticket(self, request: Request) -> Response:
        """A one-use link to a download."""
        song, data = await self._song(request), await json_body(request)
        mix = parse_mix(data["mix"]) if "mix" in data else None
        download: downloads.Download = await in_thread(downloads.download_of, song, data, mix)
        ticket = self._tickets.issue(download)
        return JSONResponse({"url": f"/download/{ticket}", "name": download.file_name}, 201, headers=NEVER)

    async def download(self, request: Request) -> Response:
        """What a ticket is for, streamed."""
        wanted = self._tickets.redeem(request.path_params["ticket"])
        if wanted is None:
            return failed(404, "this link was used already or is too old; ask for the download again", 2)
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(wanted.file_name)}", **NEVER}
        if wanted.size_bytes is not None:
            headers["Content-Length"] = str(wanted.size_bytes)
        kind = {"zip": "application/zip", "stem": "audio/wav", "balance": "audio/wav"}[wanted.kind]
        body = self._balance(wanted, request) if wanted.kind == "balance" else wanted.chunks()
        return StreamingResponse(body, media_type=kind, headers=headers)

    async def _balance(self, wanted: downloads.Download, request: Request) -> AsyncIterator[bytes]:
        song, mix = wanted.song, wanted.mix_text
        yield downloads.wav_header(song)
        for index in range(-(-song.length_samples // cell_samples(song.sample_rate_hz))):
            if await request.is_disconnected():
                return
            yield downloads.interleaved(
                await self._sound.ask(cell, str(song.folder), views.version_of(song), mix, index)
            )


def _mix_text(request: Request) -> str:
    """The mix of the query, in one form, so that equal mixes are one playback. Raises UsageError."""
    text = request.query_params.get("mix", "")
    if len(text) > MAX_MIX_CHARACTERS:
        raise UsageError(f"the mix has more than {MAX_MIX_CHARACTERS} characters")
    parse_mix(text)
    return json.dumps(json.loads(text), sort_keys=True)


def _cached_if_versioned(request: Request, song: Song) -> dict[str, str]:
    """For good, when the request names the version of the samples that it wants and that is what is there."""
    return FOR_GOOD if request.query_params.get("v") == views.version_of(song) else NEVER
