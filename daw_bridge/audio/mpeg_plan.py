"""What of an MP3's frames is to be heard: the claim of its header against the frames that are there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from daw_bridge.audio.lengths import LengthClaim, cut_off, damaged
from daw_bridge.audio.mpeg_frames import FrameFormat, InfoTag, Part, Scan, announced_samples, decoder_skip
from daw_bridge.units import human_bytes


@dataclass(slots=True, kw_only=True)
class Stretch:
    """Frames that are decoded in one go. `keep_samples` are heard after the first `skip_samples`."""

    format: FrameFormat
    frames: list[tuple[int, int]]
    skip_samples: int = 0
    keep_samples: int = 0
    music_crc: int | None = None


@dataclass(slots=True, kw_only=True)
class MpegPlan:
    stretches: list[Stretch] = field(default_factory=list)
    claimed_samples: int | None = None
    behind_samples: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def claim(self) -> LengthClaim:
        return LengthClaim(claimed_samples=self.claimed_samples, behind_samples=self.behind_samples)


def plan_mpeg(path: Path, found: Scan, *, accept_damaged: bool) -> MpegPlan:
    """The decision. Raises DamagedInput for a file that is cut off or has lost frames, unless that is accepted."""
    plan = MpegPlan()
    if found.front_bytes:
        plan.notes.append(f"{human_bytes(found.front_bytes)} in front of the sound are no MPEG audio; skipped")
    if found.ape_in_front:
        plan.notes.append(
            "an APE tag stands in front of the sound, where other programs may take it for sound; skipped"
        )
    if found.tail_bytes:
        plan.notes.append(f"{human_bytes(found.tail_bytes)} behind the last frame are no MPEG audio; left out")
    if found.foreign_bytes:
        plan.notes.append(f"{human_bytes(found.foreign_bytes)} between the frames are no MPEG audio; skipped")
    parts = [piece for part in found.parts for piece in _split_where_joined(_without_false_loss(part))]
    for part in parts:
        _refuse_lost(path, part, plan, accept_damaged=accept_damaged)
        _add(path, part, plan, accept_damaged=accept_damaged, only=len(parts) == 1)
    if len(parts) > 1:
        lengths = " + ".join(f"{s.keep_samples / s.format.sample_rate_hz:.3f} s" for s in plan.stretches)
        plan.notes.append(f"{len(parts)} MPEG files in one: {lengths}, one after the other")
    return plan


def _refuse_lost(path: Path, part: Part, plan: MpegPlan, *, accept_damaged: bool) -> None:
    if part.lost and not accept_damaged:
        before = sum(stretch.keep_samples / stretch.format.sample_rate_hz for stretch in plan.stretches)
        at_s = before + part.lost[0] * part.format.frame_samples / part.format.sample_rate_hz
        raise damaged(path, at_s, f"{len(part.lost)} frame(s) of it are lost")


def _without_false_loss(part: Part) -> Part:
    """Where the header counts just the frames that are there, nothing is lost: other bytes lie between them."""
    real = [frame for frame in part.frames if frame[1]]
    if part.lost and part.tag is not None and part.tag.frames == len(real):
        return replace(part, frames=real, lost=[])
    return part


def _split_where_joined(part: Part) -> list[Part]:
    """A file hung on another one without a header of its own: both counts of the first one's header end there."""
    tag = part.tag
    if tag is None or not tag.frames or not tag.audio_bytes or tag.frames >= len(part.frames):
        return [part]
    boundary = part.frames[tag.frames][0]
    if part.start + tag.audio_bytes != boundary or part.lost:
        return [part]
    first = replace(part, frames=part.frames[: tag.frames], short_bytes=0)
    rest = Part(format=part.format, start=boundary, frames=part.frames[tag.frames :], short_bytes=part.short_bytes)
    return [first, rest]


def _add(path: Path, part: Part, plan: MpegPlan, *, accept_damaged: bool, only: bool) -> None:
    """One part's stretch, with what is to be said of its header."""
    form, tag = part.format, part.tag
    there = len(part.frames)
    if part.short_bytes:
        plan.notes.append(f"the last frame lacks {part.short_bytes} byte(s); what is there of it is taken")
    skip = decoder_skip(tag) if form.layer == 3 else 0
    keep = max(0, there * form.frame_samples - skip)
    crc = None
    if tag is None or tag.frames is None:
        if only:
            plan.notes.append("no Xing/Info header: neither its length nor its encoder delay is known")
    else:
        frames = _real_count(path, part, tag, plan, accept_damaged=accept_damaged)
        if tag.delay_samples is not None and frames is not None:
            keep = min(keep, announced_samples(tag, form, frames))
        if tag.delay_samples is None and form.layer == 3:
            plan.notes.append("its header does not state the encoder's delay; the start may be about 25 ms late")
        claimed = announced_samples(tag, form, tag.frames)
        plan.claimed_samples = (plan.claimed_samples or 0) + claimed
        crc = tag.music_crc if not part.lost and not part.short_bytes and tag.frames == there else None
    plan.behind_samples += keep
    plan.stretches.append(Stretch(format=form, frames=part.frames, skip_samples=skip, keep_samples=keep, music_crc=crc))


def _real_count(path: Path, part: Part, tag: InfoTag, plan: MpegPlan, *, accept_damaged: bool) -> int | None:
    """The number of frames that the encoder made; None where the file does not tell. Says what differs.

    Raises DamagedInput when the header announces more and the file holds less by bytes as well.
    """
    form, there, announced = part.format, len(part.frames), tag.frames or 0
    if announced == there:
        return there
    rate_hz = form.sample_rate_hz
    says = f"the header announces {announced} frames, there are {there}"
    largest = max(size for _start, size in part.frames[-64:])
    end = part.end + part.short_bytes
    ends_there = tag.audio_bytes is not None and abs(part.start + tag.audio_bytes - end) <= largest
    whole = f"{announced_samples(tag, form, there) / rate_hz:.3f} s"
    if ends_there and part.start + (tag.audio_bytes or 0) <= end + part.short_bytes:
        plan.notes.append(f"{says}; its size in bytes is right, so all of them are read: {whole}")
        return there
    if announced == there + 1:
        plan.notes.append(f"{says}: one frame fewer; what is there is taken")
        return announced
    if announced < there:
        plan.notes.append(f"{says}; read on to the real end: {there * form.frame_samples / rate_hz:.3f} s")
        return None
    if not accept_damaged:
        raise cut_off(path, there, announced, at_s=there * form.frame_samples / rate_hz)
    plan.notes.append(f"cut off: {says}")
    return announced
