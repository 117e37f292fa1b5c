// Sound: stems, original and template as PCM cells on one AudioContext clock. The rules are measured (docs/web.md):
// the song's own rate, whole frames, cells cut by frames, two cells before the start, late cells stop all stems together.

const AHEAD_S = 6, LEAD_S = 0.05, PARALLEL = 3, KEPT_CELLS = 24, FADE_S = 0.005, SMOOTH_S = 0.008;
/** What is scheduled less than this ahead may be late for the sound's thread, which is ahead of the page's clock. */
const SAFE_S = 0.03;

/** Cells of one source, fetched once, the last ones kept. `load(from, count)` gives planar float32 of all its parts. */
export class CellSource {
  constructor({parts, cell, frames, load}) { Object.assign(this, {parts, cell, frames, load, kept: new Map()}); }

  get(index) {
    let hit = this.kept.get(index);
    this.kept.delete(index);
    if (!hit) {
      hit = this.fetch(index);
      hit.catch(() => this.kept.delete(index));
    }
    this.kept.set(index, hit);
    while (this.kept.size > KEPT_CELLS) this.kept.delete(this.kept.keys().next().value);
    return hit;
  }

  async fetch(index) {
    const from = index * this.cell, all = await this.load(from, Math.min(this.cell, this.frames - from));
    const n = all.length / this.parts / 2;
    return Array.from({length: this.parts}, (_, part) => [all.subarray(2 * part * n, (2 * part + 1) * n), all.subarray((2 * part + 1) * n, (2 * part + 2) * n)]);
  }
}

/** One source as it plays: an input for each part, a fader behind all, and where it goes on. */
class Voice {
  constructor(ctx, source, outputs, level) {
    this.source = source;
    this.out = ctx.createGain();
    this.out.gain.value = level;
    this.live = new Set();
    this.inputs = outputs(this.out);
    this.ended = false;
  }

  put(ctx, cell, [from, to], next) {
    const start = from % this.source.cell, count = to - from, when = this.next.frame / ctx.sampleRate;
    cell.forEach((channels, part) => {
      const buffer = ctx.createBuffer(2, count, ctx.sampleRate), node = ctx.createBufferSource();
      channels.forEach((samples, side) => buffer.copyToChannel(samples.subarray(start, start + count), side));
      node.buffer = buffer;
      node.connect(this.inputs[part]);
      node.start(when);
      this.live.add(node);
      node.onended = () => { node.disconnect(); this.live.delete(node); };
    });
    this.next = {frame: this.next.frame + count, song: next};
  }

  stop() {
    this.ended = true;
    this.out.disconnect();
    for (const node of this.live) { node.onended = null; node.stop(); node.disconnect(); }
    this.live.clear();
  }
}

/** The clock that all voices share; one of them is heard. */
export class Transport extends EventTarget {
  /** `connect(name, out)` makes the inputs of a source's parts, all leading to `out`. */
  constructor({rate, frames, cell, connect}) {
    super();
    Object.assign(this, {rate, frames, cell, connect, at: 0, loop: null, playing: false, run: 0, joins: 0, rebuffers: 0, source: null, name: "", level: 1, leaving: new Set()});
    this.state = "stopped";
  }

  /** Must be called from a click or a key, before the first sound. */
  async wake() {
    if (!this.ctx) {
      this.ctx = new AudioContext({sampleRate: this.rate, latencyHint: "interactive"});
      this.master = this.ctx.createGain();
      this.master.connect(this.ctx.destination);
      this.dispatchEvent(new Event("wake"));
    }
    if (this.ctx.state !== "running") await this.ctx.resume();
  }

  get now() { return Math.round(this.ctx.currentTime * this.rate); }

  /** The song's frame at a frame of the context, the loop folded in. */
  songAt(frame, map = this.map) {
    let song = map.at + Math.max(0, frame - map.zero);
    const loop = map.loop;
    if (loop && map.at < loop[1] && song >= loop[1]) song = loop[0] + ((song - loop[0]) % (loop[1] - loop[0]));
    return song;
  }

  get position() {
    if (!this.playing) return this.at;
    const map = this.map.before && this.now < this.map.zero ? this.map.before : this.map;
    return Math.min(this.frames, this.songAt(this.now, map));
  }

  /** [from, to) that plays next: to the end of the cell, of the loop or of the song. */
  piece(song, loop) {
    const end = loop && song < loop[1] ? loop[1] : this.frames;
    return [song, Math.min(end, (Math.floor(song / this.cell) + 1) * this.cell)];
  }

  after(to, loop) { return loop && to === loop[1] ? loop[0] : to; }

  announce(state) { this.state = state; this.dispatchEvent(new Event("state")); }

  fail(error) {
    this.stop();
    this.dispatchEvent(new CustomEvent("problem", {detail: error.message}));
  }

  voiceOf(source, name, level) {
    const voice = new Voice(this.ctx, source, (out) => this.connect(name, out), level);
    voice.out.connect(this.master);
    return voice;
  }

  /** Choose what is heard: at once when stopped, else joined to the running clock and faded over. */
  async listen(name, source, {level = 1, lead = 0.25} = {}) {
    Object.assign(this, {name, source, level});
    if (this.playing) await this.join(lead);
  }

  async setLoop(loop) {
    this.loop = loop;
    if (this.playing) await this.join(0.1);
  }

  setLevel(level) {
    this.level = level;
    if (this.voice) this.voice.out.gain.setTargetAtTime(level, this.ctx.currentTime, SMOOTH_S);
  }

  async firstCells(source, song, loop) {
    const first = this.piece(song, loop), second = this.piece(this.after(first[1], loop), loop);
    const pieces = [first, second].filter(([from, to]) => from < to);
    return [pieces, await Promise.all(pieces.map(([from]) => source.get(Math.floor(from / this.cell))))];
  }

  /** Whether what was scheduled for that frame was scheduled in time; asked when all of it is. */
  inTime(frame) { return this.now + SAFE_S * this.rate < frame; }

  async play(at = this.position, lead = LEAD_S) {
    const song = at >= this.frames ? 0 : Math.max(0, Math.round(at));
    this.halt();
    const run = ++this.run, loop = this.loop;
    this.at = song;
    this.playing = false;
    this.wanted = true;
    this.announce("buffering");
    try {
      const [pieces, cells] = await this.firstCells(this.source, song, loop);
      if (run !== this.run) return;
      const voice = this.voice = this.voiceOf(this.source, this.name, this.level);
      const zero = Math.ceil((this.ctx.currentTime + lead) * this.rate);
      this.map = {at: song, zero, loop};
      voice.next = {frame: zero, song};
      pieces.forEach((piece, index) => voice.put(this.ctx, cells[index], piece, this.after(piece[1], loop)));
      if (!this.inTime(zero)) return await this.play(song, Math.min(2, 2 * lead));
      this.playing = true;
      this.announce("playing");
      this.pump(voice, loop);
    } catch (error) {
      if (run === this.run) this.fail(error);
    }
  }

  /** The chosen source takes over at a frame of the clock that is far enough ahead for its first cells. */
  async join(lead) {
    const join = ++this.joins, run = this.run, {source, name, level, loop} = this;
    for (let ahead = lead; join === this.joins && run === this.run && this.playing; ahead *= 2) {
      const zero = this.now + Math.round(ahead * this.rate), song = this.songAt(zero);
      if (song >= this.frames) return;
      try {
        const [pieces, cells] = await this.firstCells(source, song, loop);
        if (join !== this.joins || run !== this.run || !this.playing) return;
        if (!this.inTime(zero - FADE_S * this.rate)) continue;
        const old = this.voice, voice = this.voiceOf(source, name, 0), when = zero / this.rate;
        voice.next = {frame: zero, song};
        pieces.forEach((piece, index) => voice.put(this.ctx, cells[index], piece, this.after(piece[1], loop)));
        if (!this.inTime(zero)) { voice.stop(); continue; }
        voice.out.gain.setValueAtTime(0, when);
        voice.out.gain.linearRampToValueAtTime(level, when + FADE_S);
        old.out.gain.setValueAtTime(old.level ?? old.out.gain.value, when);
        old.out.gain.linearRampToValueAtTime(0, when + FADE_S);
        voice.level = level;
        this.leave(old, when + FADE_S);
        this.map = {at: song, zero, loop, before: {...this.map, before: undefined}};
        this.voice = voice;
        this.pump(voice, loop);
        this.dispatchEvent(new Event("joined"));
        return;
      } catch (error) {
        if (join === this.joins && run === this.run) this.fail(error);
        return;
      }
    }
  }

  /** Lets a voice go once it is silent: `stop()` on a node that sounds makes Chromium skip a block of it. */
  leave(voice, silentAt) {
    voice.ended = true;
    this.leaving.add(voice);
    const look = () => {
      if (!this.leaving.has(voice)) return;
      if (this.ctx.currentTime <= silentAt + 0.05) { setTimeout(look, 50); return; }
      this.leaving.delete(voice);
      voice.stop();
    };
    look();
  }

  async pump(voice, loop) {
    const run = this.run;
    try {
      while (run === this.run && !voice.ended && voice.next.song < this.frames) {
        let song = voice.next.song;
        for (let count = 0; count < PARALLEL && song < this.frames; count++) {
          const piece = this.piece(song, loop);
          voice.source.get(Math.floor(song / this.cell)).catch(() => {});
          song = this.after(piece[1], loop);
        }
        if (voice.next.frame - this.now > AHEAD_S * this.rate) { await new Promise((resolve) => setTimeout(resolve, 50)); continue; }
        const piece = this.piece(voice.next.song, loop), cell = await voice.source.get(Math.floor(piece[0] / this.cell));
        if (run !== this.run || voice.ended) return;
        const {frame, song: due} = voice.next, early = this.inTime(frame);
        if (early) voice.put(this.ctx, cell, piece, this.after(piece[1], loop));
        if (!early || !this.inTime(frame)) {  // too late: all stems wait together, none is skipped
          this.rebuffers++;
          await this.play(due, 4 * LEAD_S);
          return;
        }
      }
    } catch (error) {
      if (run === this.run && !voice.ended) this.fail(error);
    }
  }

  async seek(frame) {
    const song = Math.max(0, Math.min(this.frames - 1, Math.round(frame)));
    if (this.playing || this.wanted) await this.play(song);
    else { this.at = song; this.announce("stopped"); }
  }

  halt() {
    this.run++;
    this.joins++;
    for (const voice of [this.voice, ...this.leaving]) voice?.stop();
    this.leaving.clear();
    this.voice = null;
  }

  stop() {
    this.at = this.position;
    this.playing = this.wanted = false;
    this.halt();
    this.announce("stopped");
  }

  /** Called with each picture: the end of the song is the end of playing. */
  tick() {
    if (this.playing && !this.map.loop && this.songAt(this.now) >= this.frames) { this.stop(); this.at = 0; this.announce("stopped"); }
  }
}

/** The product's fader and balance (unity on both sides at the centre), as three gains. */
export class Fader {
  constructor(ctx) {
    this.ctx = ctx;
    this.input = ctx.createGain();
    const split = ctx.createChannelSplitter(2), merge = ctx.createChannelMerger(2);
    this.sides = [ctx.createGain(), ctx.createGain()];
    this.input.channelCount = 2;
    this.input.channelCountMode = "explicit";
    this.input.connect(split);
    this.sides.forEach((side, index) => { split.connect(side, index); side.connect(merge, 0, index); });
    this.output = merge;
    this.first = true;
    this.held = [];
  }

  set(gainDb, pan, audible) {
    const gain = audible && gainDb > -60 ? 10 ** (gainDb / 20) : 0;
    [gain * Math.min(1, 1 - pan), gain * Math.min(1, 1 + pan)].forEach((value, index) => {
      const parameter = this.sides[index].gain;
      if (this.held[index] === value) return;  // a ramp from 1 to 1 is not quite 1
      this.held[index] = value;
      if (this.first) parameter.value = value;
      else parameter.setTargetAtTime(value, this.ctx.currentTime, SMOOTH_S);
    });
    this.first = false;
  }
}
