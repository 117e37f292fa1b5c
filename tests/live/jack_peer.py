"""Run by test_jack: a JACK client at the other end of `daw-bridge live`; answers questions on stdin, and is killed.

    python jack_peer.py SERVER probe        a click every half second; keeps all that comes back
    python jack_peer.py SERVER cable 77     what comes in goes out, 77 samples later

A process of its own, because a client in Python must not be stopped: JACK cancels the thread that calls back wherever
it stands, and one that holds Python's lock takes it along; everything in that process waits for ever.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from typing import Any

import jack
import numpy as np

RATE_HZ = 44_100


class Peer(ABC):
    """One port each way, and who it is wired to."""

    def __init__(self, server: str) -> None:
        self.client = jack.Client("peer", servername=server, no_start_server=True)
        self.out = self.client.outports.register("out")
        self.back = self.client.inports.register("in")
        self.client.set_process_callback(self.process)

    @abstractmethod
    def process(self, frames: int) -> None:
        """What goes out in this period."""

    def wire(self) -> bool:
        """Take the place of the sound card; False while the program has not opened its ports."""
        ins = self.client.get_ports("PortAudio.*", is_input=True, is_audio=True)
        outs = self.client.get_ports("PortAudio.*", is_output=True, is_audio=True)
        if len(ins) != 2 or len(outs) != 2:
            return False
        for port in (*ins, *outs):
            for other in self.client.get_all_connections(port):
                pair = (other, port) if port in ins else (port, other)
                self.client.disconnect(*pair)
        for port in ins:
            self.client.connect(self.out, port)
        self.client.connect(outs[0], self.back)
        return True


class Probe(Peer):
    """Sends clicks and keeps what it hears."""

    def __init__(self, server: str) -> None:
        self.sent: list[int] = []
        self.heard: list[np.ndarray] = []
        self.frames = 0
        super().__init__(server)

    def process(self, frames: int) -> None:
        block = np.zeros(frames, np.float32)
        if self.frames // (RATE_HZ // 2) != (self.frames + frames) // (RATE_HZ // 2):
            block[7] = 0.5
            self.sent.append(self.frames + 7)
        self.out.get_array()[:] = block
        self.heard.append(self.back.get_array().copy())
        self.frames += frames

    def hears(self) -> bool:
        """Whether anything has come back."""
        return any(block.any() for block in list(self.heard))

    def delays(self) -> list[int]:
        """Samples from each click that was sent to its return, as far as it has come back."""
        audio, found = np.abs(np.concatenate([*self.heard, np.zeros(0)])), []
        for position in list(self.sent):
            window = audio[position : position + RATE_HZ // 4]
            if window.size == RATE_HZ // 4 and window.max() > 0.1:
                found.append(int(window.argmax()))
        return found


class Cable(Peer):
    """The cable from the program's output to its input."""

    def __init__(self, server: str, delay_samples: int) -> None:
        self.line = np.zeros(delay_samples, np.float32)
        super().__init__(server)

    def process(self, frames: int) -> None:
        self.line = np.concatenate((self.line, self.back.get_array()))
        self.out.get_array()[:] = self.line[:frames]
        self.line = self.line[frames:]


def main(server: str, kind: str, *delay_samples: str) -> None:
    peer: Any = Cable(server, int(delay_samples[0])) if kind == "cable" else Probe(server)
    peer.client.activate()
    for question in sys.stdin:
        print(json.dumps(getattr(peer, question.strip())()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
