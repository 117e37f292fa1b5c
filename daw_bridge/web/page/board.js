// The lanes of a song under one ruler: what is in view, the cursor, the loop, and the hand that draws it.
import {h} from "./dom.js";
import {Fine, heightFactor, paintRuler, paintWave, Peaks, Spectrum} from "./lanes.js";

const TAP_PX = 6, SMALLEST_VIEW = 512;

export class LaneBoard {
  constructor(song, {seek, loop}) {
    Object.assign(this, {song, seek, chooseLoop: loop, view: [0, song.frames], rows: [], loop: null, looping: false, markers: [], bars: [], spectra: false, position: 0, pending: false, peaks: new Map(), pictures: new Map(), pointers: new Map()});
    this.fine = new Fine(song, () => this.draw());
    this.canvas = h("canvas", {class: "ruler-canvas", "aria-hidden": "true"});
    this.thumb = h("div", {class: "thumb"});
    this.bar_ = h("div", {class: "scroll", role: "scrollbar", "aria-label": "Part of the song in view", "aria-orientation": "horizontal", "aria-controls": "main", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0", onkeydown: (event) => this.scrollKeys(event)}, this.thumb);
    this.lane = h("div", {class: "ruler-lane"}, this.canvas, this.bar_);
    this.ruler = h("div", {class: "ruler"}, h("div", {class: "ruler-head"}), this.lane);
    this.gestures(this.canvas);
    this.scrolling();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onscheme = () => this.draw();
    this.scheme.addEventListener("change", this.onscheme);
  }

  close() { this.observer.disconnect(); this.scheme.removeEventListener("change", this.onscheme); }

  clear() { this.rows = []; }

  lanes(strip) {
    const place = h("div", {class: "lanes"});
    for (const stem of strip.stems) {
      if (!this.peaks.has(stem)) {
        this.peaks.set(stem, new Peaks(this.song, stem, () => this.draw()));
        this.pictures.set(stem, new Spectrum(this.song, stem, () => this.draw()));
      }
      const canvas = h("canvas", {class: "wave", role: "img", "aria-label": `Waveform of ${stem}`}), cursor = h("div", {class: "cursor"}), region = h("div", {class: "region", hidden: true});
      const lane = h("div", {class: "lane"}, canvas, region, cursor, strip.stems.length > 1 ? h("span", {class: "stem-name"}, stem) : null);
      this.gestures(lane);
      place.append(lane);
      this.rows.push({stem, canvas, cursor, region});
    }
    return place;
  }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.paint(); });
  }

  paint() {
    paintRuler(this.canvas, this.song, this.view, this.markers, this.bars);
    const factor = heightFactor(this.peaks.values());
    for (const row of this.rows) {
      if (!row.canvas.isConnected) continue;
      const pixels = row.canvas.clientWidth || 1;
      let drawn = true;
      if (this.spectra) drawn = this.pictures.get(row.stem).paint(row.canvas, this.view);
      else drawn = paintWave(row.canvas, this.peaks.get(row.stem), this.view, this.fine.of(row.stem, this.view, pixels), factor);
      row.canvas.parentElement.classList.toggle("waiting", drawn === false);
    }
    const [from, to] = this.view, whole = this.song.frames;
    this.thumb.style.left = `${(100 * from) / whole}%`;
    this.thumb.style.width = `${(100 * (to - from)) / whole}%`;
    this.bar_.setAttribute("aria-valuenow", String(Math.round((100 * from) / Math.max(1, whole - (to - from))) || 0));
    this.bar_.hidden = to - from >= whole;
    this.drawLoop();
    this.move(this.position, false);
  }

  x(frame, width) { return ((frame - this.view[0]) / (this.view[1] - this.view[0])) * width; }

  move(position, follow = true) {
    const moved = position !== this.position;
    this.position = position;
    const [from, to] = this.view;
    if (follow && moved && to - from < this.song.frames && this.pointers.size === 0 && position > to && position < to + (to - from) / 2) return this.show(position, position + (to - from));
    for (const row of this.rows) {
      const x = this.x(position, row.canvas.clientWidth);
      row.cursor.style.transform = `translateX(${x.toFixed(2)}px)`;
      row.cursor.hidden = x < 0 || x > row.canvas.clientWidth;
    }
  }

  drawLoop() {
    for (const {region, canvas} of this.rows) {
      region.hidden = !this.loop;
      if (!this.loop) continue;
      const a = this.x(this.loop[0], canvas.clientWidth), b = this.x(this.loop[1], canvas.clientWidth);
      region.style.left = `${a}px`;
      region.style.width = `${Math.max(1, b - a)}px`;
      region.classList.toggle("active", this.looping);
    }
  }

  show(from, to) {
    const width = Math.max(SMALLEST_VIEW, Math.min(this.song.frames, to - from)), begin = Math.max(0, Math.min(this.song.frames - width, from));
    this.view = [begin, begin + width];
    this.draw();
  }

  zoom(factor, around = null) {
    const [from, to] = this.view, inside = this.position >= from && this.position <= to;
    const fixed = around ?? (inside ? this.position : (from + to) / 2);
    this.show(fixed - (fixed - from) * factor, fixed - (fixed - from) * factor + (to - from) * factor);
  }

  gestures(element) {
    const frame = (clientX) => {
      const box = element.getBoundingClientRect();
      return this.view[0] + ((clientX - box.left) / box.width) * (this.view[1] - this.view[0]);
    };
    element.addEventListener("wheel", (event) => {
      const [from, to] = this.view, span = to - from;
      if (event.ctrlKey || event.altKey) this.zoom(Math.exp(event.deltaY / 300), frame(event.clientX));
      else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
        const by = ((event.deltaX || event.deltaY) / element.clientWidth) * span;
        this.show(from + by, to + by);
      } else return;
      event.preventDefault();
    }, {passive: false});
    element.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.pointers.set(event.pointerId, event.clientX);
      element.setPointerCapture(event.pointerId);
      if (this.pointers.size === 2) { this.pinch = {view: [...this.view], xs: [...this.pointers.values()].sort((a, b) => a - b), box: element.getBoundingClientRect()}; this.drag = null; return; }
      this.drag = {x: event.clientX, frame: frame(event.clientX), moved: false};
    });
    element.addEventListener("pointermove", (event) => {
      if (!this.pointers.has(event.pointerId)) return;
      this.pointers.set(event.pointerId, event.clientX);
      if (this.pinch && this.pointers.size === 2) {
        const [a, b] = [...this.pointers.values()].sort((x, y) => x - y), {view, xs, box} = this.pinch, span = view[1] - view[0];
        const at = (x) => view[0] + ((x - box.left) / box.width) * span, scale = (at(xs[1]) - at(xs[0])) / Math.max(8, b - a);
        const from = at(xs[0]) - (a - box.left) * scale;
        this.show(from, from + box.width * scale);
        return;
      }
      if (!this.drag) return;
      if (Math.abs(event.clientX - this.drag.x) > TAP_PX) this.drag.moved = true;
      if (!this.drag.moved) return;
      const ends = [this.drag.frame, frame(event.clientX)].sort((a, b) => a - b);
      this.loop = [Math.round(Math.max(0, ends[0])), Math.round(Math.min(this.song.frames, ends[1]))];
      this.drawLoop();
    });
    const up = (event) => {
      if (!this.pointers.delete(event.pointerId)) return;
      if (this.pinch) { if (this.pointers.size === 0) this.pinch = null; this.drag = null; return; }
      const drag = this.drag;
      this.drag = null;
      if (!drag || event.type === "pointercancel") return;
      if (drag.moved && this.loop && this.loop[1] - this.loop[0] > 64) this.chooseLoop(this.loop);
      else this.seek(drag.frame);
    };
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", up);
  }

  scrollKeys(event) {
    const [from, to] = this.view, step = (to - from) / 4, by = {ArrowLeft: -step, ArrowRight: step, PageUp: -4 * step, PageDown: 4 * step}[event.key];
    if (!by) return;
    this.show(from + by, to + by);
    event.preventDefault();
    event.stopPropagation();
  }

  scrolling() {
    const go = (event) => {
      const box = this.bar_.getBoundingClientRect(), span = this.view[1] - this.view[0], middle = ((event.clientX - box.left) / box.width) * this.song.frames;
      this.show(middle - span / 2, middle + span / 2);
    };
    this.bar_.addEventListener("pointerdown", (event) => { this.bar_.setPointerCapture(event.pointerId); go(event); this.bar_.onpointermove = go; });
    this.bar_.addEventListener("pointerup", () => { this.bar_.onpointermove = null; });
  }
}
