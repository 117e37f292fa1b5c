"""What a project of faders, folders and sends plays by the rules of REAPER's mixer: levels, laws and modes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from daw_bridge_reaper.session import ReaperProject, ReaperTrack

DUAL_PAN = 6


def heard(
    project: ReaperProject,
    folder: Path,
    length_samples: int,
    *,
    first: int = 0,
    project_law: float = 1.0,
    project_mode: int = 3,
) -> np.ndarray:
    """The sum of the tracks from `first` on, in float64. Shape (2, length).

    The law is the gain of the centre wherever something is panned: on tracks, sends and takes; below 0 the project's
    counts. In dual pan mode the plain pan of a track means nothing.
    """
    parents = project.parents()
    rate_hz = project.sample_rate_hz

    def law(own: float) -> float:
        return own if own >= 0.0 else project_law

    def panned(track: ReaperTrack, audio: np.ndarray) -> np.ndarray:
        mode = project_mode if track.pan_mode is None else track.pan_mode
        pan = 0.0 if mode == DUAL_PAN else track.pan
        sides = np.array([[1.0 - max(pan, 0.0)], [1.0 + min(pan, 0.0)]])
        return track.gain_linear * law(track.pan_law) * sides * audio

    def strip(index: int) -> np.ndarray:
        track = project.tracks[index]
        total = np.zeros((2, length_samples))
        for item in track.items:
            audio, file_rate_hz = soundfile.read(folder / item.path, dtype="float64", always_2d=True)
            assert (file_rate_hz, item.offset_s, item.play_rate, item.loop) == (rate_hz, 0.0, 1.0, False)
            assert (item.fade_in_s, item.fade_out_s) == (0.0, 0.0)
            start, count = round(item.position_s * rate_hz), round(item.length_s * rate_hz)
            total[:, start : start + count] += item.gain_linear * audio.T[:, :count]
        for child, parent in enumerate(parents):
            if parent == index and project.tracks[child].main_send:
                total += strip(child)
        for receive in track.receives:
            if receive.target_channel == 0 and not receive.mute:
                total += receive.gain_linear * law(receive.pan_law) * strip(receive.source)
        assert not track.fx
        return np.zeros_like(total) if track.mute else panned(track, total)

    tracks = list(enumerate(project.tracks))[first:]
    tops = [strip(index) for index, track in tracks if parents[index] is None and track.main_send]
    return sum(tops, np.zeros((2, length_samples)))
