// Pictures of sound: waveforms from the pyramid (from samples when zoomed far in), spectrograms, the ruler.
import {ask, songPath} from "./api.js";
import {clock} from "./dom.js";

const FIRST_COLUMNS = 16384, FINE_SAMPLES = 64, MOST_SECONDS = 10;

/** A canvas in device pixels; its context and size. */
export function sized(canvas) {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio)), height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  return {context, width, height, ratio};
}

/** The peaks of one stem, level by level as they are needed. */
export class Peaks {
  constructor(song, stem, changed) {
    Object.assign(this, {song, stem, changed, levels: song.levels.map(() => null), asked: new Set(), lost: false, loudest: 0});
    this.want(Math.max(0, song.levels.findIndex((size) => size <= FIRST_COLUMNS)));
  }

  width(level) { return this.song.level_base * this.song.level_factor ** level; }

  want(level) {
    if (this.asked.has(level)) return;
    this.asked.add(level);
    ask(songPath(this.song.id, `peaks/${encodeURIComponent(this.stem)}?level=${level}&v=${this.song.version}`))
      .then((answer) => answer.arrayBuffer())
      .then((body) => {
        const values = this.levels[level] = new Int8Array(body);
        if (!this.loudest) for (const value of values) this.loudest = Math.max(this.loudest, Math.abs(value));
        this.changed();
      })
      .catch(() => { this.lost = true; this.asked.delete(level); this.changed(); });
  }

  /** The finest level that is here and no finer than a column; asks for the fitting one. */
  best(perColumn) {
    let fitting = 0;
    while (fitting + 1 < this.levels.length && this.width(fitting + 1) <= perColumn) fitting++;
    if (!this.levels[fitting] && !this.lost) this.want(fitting);
    for (let step = 0; step < this.levels.length; step++)
      for (const level of [fitting + step, fitting - step]) if (this.levels[level]) return level;
    return -1;
  }
}

/** One factor for all lanes: the loudest fills its lane, the others keep their proportion to it. */
export function heightFactor(allPeaks) {
  let most = 0;
  for (const peaks of allPeaks) most = Math.max(most, peaks.loudest);
  return most > 0 ? Math.min(8, 120 / most) : 1;
}

export function paintWave(canvas, peaks, [from, to], fine, factor) {
  const {context, width, height} = sized(canvas), per = (to - from) / width, middle = height / 2;
  context.fillStyle = getComputedStyle(canvas).color;
  if (fine && fine.from <= from && fine.to >= to) return paintSamples(context, fine, [from, to], width, height, factor);
  const level = peaks.best(per);
  if (level < 0) return false;
  const data = peaks.levels[level], size = peaks.width(level), columns = data.length / 2;
  context.beginPath();
  for (let x = 0; x < width; x++) {
    const first = Math.floor((from + x * per) / size), last = Math.max(first + 1, Math.floor((from + (x + 1) * per) / size));
    let low = 127, high = -127;
    for (let index = Math.max(0, first); index < last && index < columns; index++) {
      low = Math.min(low, data[2 * index]);
      high = Math.max(high, data[2 * index + 1]);
    }
    if (low > high) continue;
    const top = middle - (high / 127) * middle * factor, bottom = Math.max(middle - (low / 127) * middle * factor, top + 1);
    context.rect(x, top, 1, bottom - top);
  }
  context.fill();
  return true;
}

function paintSamples(context, fine, [from, to], width, height, factor) {
  const per = (to - from) / width, middle = height / 2;
  context.beginPath();
  for (let x = 0; x < width; x++) {
    let low = 1, high = -1;
    const first = Math.floor(from + x * per) - fine.from, last = Math.max(first + 1, Math.ceil(from + (x + 1) * per) - fine.from);
    for (const side of fine.sides) for (let index = Math.max(0, first); index <= last && index < side.length; index++) {
      low = Math.min(low, side[index]);
      high = Math.max(high, side[index]);
    }
    if (low > high) continue;
    const top = middle - high * middle * factor;
    context.rect(x, top, 1, Math.max(1, (high - low) * middle * factor));
  }
  context.fill();
  return true;
}

/** Samples of all stems for a view that the pyramid is too coarse for; one request, the last one kept. */
export class Fine {
  constructor(song, changed) { Object.assign(this, {song, changed, held: null, timer: 0}); }

  of(stem, [from, to], pixels) {
    if ((to - from) / pixels > FINE_SAMPLES || to - from > MOST_SECONDS * this.song.rate) return null;
    if (!this.held || this.held.from > from || this.held.to < to) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.fetch(from, to), 120);
    }
    return this.held && this.held.stems.has(stem) ? {from: this.held.from, to: this.held.to, sides: this.held.stems.get(stem)} : null;
  }

  async fetch(from, to) {
    const begin = Math.max(0, Math.floor(from)), count = Math.min(this.song.frames, Math.ceil(to)) - begin, names = this.song.stems;
    try {
      const answer = await ask(songPath(this.song.id, `pcm?from=${begin}&count=${count}&stems=${names.map(encodeURIComponent)}&v=${this.song.version}`));
      const all = new Float32Array(await answer.arrayBuffer()), n = all.length / names.length / 2;
      const stems = new Map(names.map((name, i) => [name, [all.subarray(2 * i * n, (2 * i + 1) * n), all.subarray((2 * i + 1) * n, (2 * i + 2) * n)]]));
      this.held = {from: begin, to: begin + n + 1, stems};
      this.changed();
    } catch { /* the coarse picture stays */ }
  }
}

/** The spectrogram of one stem: the whole song, and the part in view when that is much less. */
export class Spectrum {
  constructor(song, stem, changed) { Object.assign(this, {song, stem, changed, whole: null, part: null, asked: "", timer: 0}); }

  async fetch(from, to) {
    const path = `spectrogram/${encodeURIComponent(this.stem)}.png?from=${from}&to=${to}&v=${this.song.version}`;
    const blob = await (await ask(songPath(this.song.id, path))).blob();
    return {from, to, picture: await createImageBitmap(blob)};
  }

  paint(canvas, [from, to]) {
    const {context, width, height} = sized(canvas), {frames} = this.song;
    if (!this.whole && this.asked !== "whole") {
      this.asked = "whole";
      this.fetch(0, frames).then((tile) => { this.whole = tile; this.changed(); }).catch(() => {});
    }
    const close = (to - from) * 4 < frames && to - from > 4096;
    const fits = this.part && this.part.from <= from && this.part.to >= to && this.part.to - this.part.from <= 4 * (to - from);
    if (close && !fits) {
      clearTimeout(this.timer);
      const margin = (to - from) / 2, begin = Math.max(0, Math.floor(from - margin)), end = Math.min(frames, Math.ceil(to + margin));
      this.timer = setTimeout(() => this.fetch(begin, end).then((tile) => { this.part = tile; this.changed(); }).catch(() => {}), 200);
    }
    const tile = close && fits ? this.part : this.whole;
    if (!tile) return false;
    const per = tile.picture.width / (tile.to - tile.from);
    context.imageSmoothingEnabled = true;
    context.drawImage(tile.picture, (from - tile.from) * per, 0, (to - from) * per, tile.picture.height, 0, 0, width, height);
    return true;
  }
}

const STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800];

export function paintRuler(canvas, song, [from, to], markers, bars) {
  const {context, width, height, ratio} = sized(canvas), style = getComputedStyle(canvas), px = (frame) => ((frame - from) / (to - from)) * width;
  const second = (song.rate / (to - from)) * width, step = STEPS_S.find((each) => each * second >= 84 * ratio) ?? 3600;
  context.fillStyle = style.color;
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  const inView = bars.filter((bar) => bar >= from && bar < to);
  if (inView.length * 6 * ratio < width) for (const bar of inView) context.fillRect(px(bar), height - 4 * ratio, ratio, 4 * ratio);
  for (let time = Math.max(0, Math.floor(from / song.rate / step) * step); time * song.rate < to; time += step) {
    const x = px(time * song.rate);
    context.globalAlpha = 0.55;
    context.fillRect(x, height - 9 * ratio, ratio, 9 * ratio);
    context.globalAlpha = 1;
    context.fillText(clock(time, step < 1), x + 4 * ratio, height - 6 * ratio);
  }
  for (const marker of markers) {
    const x = px(marker.position_samples);
    if (x < -200 || x > width) continue;
    context.fillStyle = marker.colour ? `rgb(${marker.colour.red} ${marker.colour.green} ${marker.colour.blue})` : style.getPropertyValue("--accent");
    if (marker.length_samples) context.fillRect(x, 0, Math.max(2, px(marker.position_samples + marker.length_samples) - x), 3 * ratio);
    context.fillRect(x, 0, 2 * ratio, height / 2);
    context.fillText(marker.name, x + 5 * ratio, 12 * ratio);
  }
}
