// The sound of one strip: curves from the renderer's own filter sections, and the values that can be turned.
import {h, svg} from "./dom.js";

const LOW_HZ = 20, HIGH_HZ = 20000, RANGE_DB = 18, WIDTH = 640, HEIGHT = 240;
const KINDS = {highpass: "High-pass", lowpass: "Low-pass", lowshelf: "Low shelf", highshelf: "High shelf", bell: "Bell", notch: "Notch"};
const HAS_GAIN = new Set(["lowshelf", "highshelf", "bell"]);
const NAMES = {equalizer: "Equalizer", compressor: "Compressor", gate: "Gate", limiter: "Limiter", gain: "Gain", reverb: "Reverb", delay: "Delay", pluginref: "Plug-in"};
// low, high, step, unit, label; what a slider reaches, inside the ranges of the template format
const FIELDS = {
  threshold_db: [-60, 0, 0.5, "dB", "Threshold"], ratio: [1, 20, 0.1, ": 1", "Ratio"], attack_ms: [0.1, 200, 0.1, "ms", "Attack"],
  release_ms: [5, 2000, 1, "ms", "Release"], knee_db: [0, 24, 0.5, "dB", "Knee"], makeup_db: [-12, 24, 0.1, "dB", "Make-up"],
  hold_ms: [0, 1000, 1, "ms", "Hold"], ceiling_db: [-24, 0, 0.1, "dB", "Ceiling"], gain_db: [-24, 24, 0.1, "dB", "Gain"],
  room_size: [0, 1, 0.01, "", "Room"], damping: [0, 1, 0.01, "", "Damping"], width: [0, 1, 0.01, "", "Width"],
  predelay_ms: [0, 200, 1, "ms", "Pre-delay"], time_ms: [1, 2000, 1, "ms", "Time"], feedback: [0, 0.95, 0.01, "", "Feedback"],
};
const LOGARITHMIC = new Set(["attack_ms", "release_ms", "time_ms", "ratio"]);
export const NEW_EFFECTS = {
  equalizer: {type: "equalizer", bands: [{kind: "bell", frequency_hz: 1000, gain_db: 0, q: 1, enabled: true}], enabled: true},
  compressor: {type: "compressor", threshold_db: -18, ratio: 3, attack_ms: 15, release_ms: 120, knee_db: 6, makeup_db: 0, sidechain_bus: null, enabled: true},
};

const xOf = (hz) => (Math.log(hz / LOW_HZ) / Math.log(HIGH_HZ / LOW_HZ)) * WIDTH;
const hzAt = (x) => LOW_HZ * (HIGH_HZ / LOW_HZ) ** (x / WIDTH);
const yOf = (db) => HEIGHT / 2 - (Math.max(-RANGE_DB, Math.min(RANGE_DB, db)) / RANGE_DB) * (HEIGHT / 2);

/** The gain in dB of second-order sections at a frequency. */
export function responseDb(sections, hz, rate) {
  const w = (2 * Math.PI * hz) / rate, c1 = Math.cos(w), s1 = Math.sin(w), c2 = Math.cos(2 * w), s2 = Math.sin(2 * w);
  let db = 0;
  for (const [b0, b1, b2, a0, a1, a2] of sections) {
    const top = (b0 + b1 * c1 + b2 * c2) ** 2 + (b1 * s1 + b2 * s2) ** 2, low = (a0 + a1 * c1 + a2 * c2) ** 2 + (a1 * s1 + a2 * s2) ** 2;
    db += 10 * Math.log10(Math.max(top, 1e-20) / Math.max(low, 1e-20));
  }
  return db;
}

export function curvePath(sections, rate, width = WIDTH) {
  const points = [];
  for (let x = 0; x <= width; x += 4) {
    const hz = Math.min(hzAt((x / width) * WIDTH), rate * 0.499);
    points.push(`${x.toFixed(0)} ${yOf(responseDb(sections, hz, rate)).toFixed(1)}`);
  }
  return `M${points.join("L")}`;
}

const shown = (value, unit) => `${Math.abs(value) >= 100 ? Math.round(value) : Number(value.toFixed(Math.abs(value) < 10 ? 2 : 1))}${unit ? " " + unit : ""}`;
const hertz = (hz) => (hz >= 1000 ? `${Number((hz / 1000).toFixed(2))} kHz` : `${Math.round(hz)} Hz`);

function slider({label, value, low, high, step, log, text, onchange}) {
  const to = log ? (v) => Math.log(v / low) / Math.log(high / low) : (v) => v, from = log ? (v) => low * (high / low) ** v : (v) => v;
  const output = h("output", {}, text(value));
  const input = h("input", {type: "range", min: log ? 0 : low, max: log ? 1 : high, step: log ? 0.002 : step, value: to(Math.max(low, Math.min(high, value))), "aria-label": label, "aria-valuetext": text(value),
    oninput: () => {
      const now = Number(from(Number(input.value)).toPrecision(4));
      output.textContent = text(now);
      input.setAttribute("aria-valuetext", text(now));
      onchange(now);
    }});
  return h("label", {class: "knob"}, h("span", {}, label), input, output);
}

/** The editor of a strip's effects. `changed(effects)` is called with each move; `show(strip)` draws anew. */
export class EffectsEditor {
  constructor(place, rate, changed) { Object.assign(this, {place, rate, changed, band: 0, strip: null, curve: null}); }

  show(strip) {
    if (this.strip?.name !== strip.name) this.band = 0;
    this.strip = strip;
    const effects = strip.effects;
    this.place.replaceChildren(
      ...effects.map((effect, index) => this.effect(effect, index)),
      h("div", {class: "add"},
        ...Object.keys(NEW_EFFECTS).map((kind) => h("button", {class: "quiet", onclick: () => this.replace([...effects, structuredClone(NEW_EFFECTS[kind])])}, `Add ${NAMES[kind].toLowerCase()}`))),
    );
  }

  /** New filter sections for the same values: only the curve moves. */
  redraw(strip) {
    this.strip = strip;
    strip.effects.forEach((effect, index) => {
      const path = this.place.querySelector(`[data-curve="${index}"]`);
      if (path && strip.sections[index]) path.setAttribute("d", curvePath(strip.sections[index], this.rate));
    });
  }

  replace(effects) { this.changed(effects); this.show({...this.strip, effects, sections: effects.map(() => null)}); }

  edit(index, values) {
    const effects = this.strip.effects.map((effect, at) => (at === index ? {...effect, ...values} : effect));
    this.strip = {...this.strip, effects};
    this.changed(effects);
  }

  effect(effect, index) {
    const name = NAMES[effect.type] ?? effect.type, title = effect.type === "pluginref" ? `${effect.name} (${effect.daw})` : name;
    const on = h("button", {class: "toggle", "aria-pressed": String(effect.enabled), "aria-label": `${title} on`, onclick: () => {
      const enabled = on.getAttribute("aria-pressed") !== "true";
      on.setAttribute("aria-pressed", String(enabled));
      this.edit(index, {enabled});
    }}, "On");
    const remove = h("button", {class: "quiet", "aria-label": `Remove ${title}`, onclick: () => this.replace(this.strip.effects.filter((_, at) => at !== index))}, "Remove");
    const body = effect.type === "equalizer" ? this.equalizer(effect, index) : this.values(effect, index);
    const note = effect.sidechain_bus ? h("p", {class: "dim"}, `Listens to ${effect.sidechain_bus}.`) : null;
    return h("section", {class: "effect", "aria-label": title}, h("header", {}, h("h4", {}, title), on, remove), note, body);
  }

  values(effect, index) {
    return h("div", {class: "knobs"}, ...Object.keys(effect).filter((key) => key in FIELDS).map((key) => {
      const [low, high, step, unit, label] = FIELDS[key];
      return slider({label, value: effect[key], low, high, step, log: LOGARITHMIC.has(key), text: (value) => shown(value, unit), onchange: (value) => this.edit(index, {[key]: value})});
    }));
  }

  equalizer(effect, index) {
    const grid = [];
    for (const hz of [50, 100, 200, 500, 1000, 2000, 5000, 10000]) {
      grid.push(svg("line", {x1: xOf(hz), x2: xOf(hz), y1: 0, y2: HEIGHT, class: "grid"}));
      const text = svg("text", {x: xOf(hz) + 4, y: HEIGHT - 6, class: "tick"});
      text.textContent = hz >= 1000 ? `${hz / 1000}k` : hz;
      grid.push(text);
    }
    for (const db of [-12, -6, 0, 6, 12]) {
      grid.push(svg("line", {x1: 0, x2: WIDTH, y1: yOf(db), y2: yOf(db), class: db ? "grid" : "grid zero"}));
      const text = svg("text", {x: 4, y: yOf(db) - 4, class: "tick"});
      text.textContent = `${db > 0 ? "+" : ""}${db}`;
      grid.push(text);
    }
    const path = svg("path", {class: "curve", "data-curve": index, d: this.strip.sections[index] ? curvePath(this.strip.sections[index], this.rate) : ""});
    const dots = effect.bands.map((band, at) => svg("circle", {class: "dot", r: 9, cx: xOf(band.frequency_hz), cy: yOf(HAS_GAIN.has(band.kind) ? band.gain_db : 0), "data-band": at}));
    const picture = svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "eq", role: "img", "aria-label": `Equalizer curve of ${this.strip.label}`}, ...grid, path, ...dots);
    const controls = h("div", {class: "knobs"}), tabs = h("div", {class: "tabs", role: "group", "aria-label": "Bands"});
    const choose = (at) => {
      this.band = at;
      const band = this.strip.effects[index].bands[at];
      dots.forEach((dot, each) => dot.classList.toggle("chosen", each === at));
      tabs.replaceChildren(
        ...this.strip.effects[index].bands.map((each, number) => h("button", {class: "tab", "aria-pressed": String(number === at), onclick: () => choose(number)}, KINDS[each.kind])),
        h("button", {class: "tab quiet", "aria-label": "Add a band", onclick: () => this.bands(index, [...this.strip.effects[index].bands, {kind: "bell", frequency_hz: 1000, gain_db: 0, q: 1, enabled: true}], effect.bands.length)}, "+"),
      );
      if (!band) return controls.replaceChildren();
      const set = (values) => {
        const bands = this.strip.effects[index].bands.map((each, number) => (number === at ? {...each, ...values} : each));
        dots[at].setAttribute("cx", xOf(bands[at].frequency_hz));
        dots[at].setAttribute("cy", yOf(HAS_GAIN.has(bands[at].kind) ? bands[at].gain_db : 0));
        this.edit(index, {bands});
      };
      const kind = h("select", {"aria-label": "Kind of band", onchange: () => { set({kind: kind.value, gain_db: HAS_GAIN.has(kind.value) ? this.strip.effects[index].bands[at].gain_db : 0}); this.show(this.strip); }},
        ...Object.entries(KINDS).map(([value, label]) => h("option", {value, selected: value === band.kind}, label)));
      controls.replaceChildren(
        h("label", {class: "knob"}, h("span", {}, "Kind"), kind, h("button", {class: "quiet", onclick: () => this.bands(index, this.strip.effects[index].bands.filter((_, number) => number !== at), 0)}, "Remove")),
        slider({label: "Frequency", value: band.frequency_hz, low: 20, high: 20000, log: true, text: hertz, onchange: (frequency_hz) => set({frequency_hz})}),
        ...(HAS_GAIN.has(band.kind) ? [slider({label: "Gain", value: band.gain_db, low: -18, high: 18, step: 0.1, text: (value) => shown(value, "dB"), onchange: (gain_db) => set({gain_db})})] : []),
        slider({label: "Q", value: band.q, low: 0.2, high: 10, log: true, text: (value) => shown(value, ""), onchange: (q) => set({q})}),
      );
    };
    const point = (event) => {
      const box = picture.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
    };
    picture.addEventListener("pointerdown", (event) => {
      const [x, y] = point(event), bands = this.strip.effects[index].bands;
      const near = bands.map((band, at) => [Math.hypot(xOf(band.frequency_hz) - x, (yOf(HAS_GAIN.has(band.kind) ? band.gain_db : 0) - y) * 0.7), at]).sort((a, b) => a[0] - b[0])[0];
      if (!near || near[0] > 60) return;
      choose(near[1]);
      picture.setPointerCapture(event.pointerId);
      const move = (moved) => {
        const [mx, my] = point(moved), band = this.strip.effects[index].bands[near[1]];
        const gain = HAS_GAIN.has(band.kind) ? Number(Math.max(-RANGE_DB, Math.min(RANGE_DB, ((HEIGHT / 2 - my) / (HEIGHT / 2)) * RANGE_DB)).toFixed(1)) : 0;
        const values = {frequency_hz: Math.round(Math.max(20, Math.min(20000, hzAt(mx)))), gain_db: gain};
        this.edit(index, {bands: this.strip.effects[index].bands.map((each, at) => (at === near[1] ? {...each, ...values} : each))});
        dots[near[1]].setAttribute("cx", xOf(values.frequency_hz));
        dots[near[1]].setAttribute("cy", yOf(gain));
      };
      picture.addEventListener("pointermove", move);
      picture.addEventListener("pointerup", () => { picture.removeEventListener("pointermove", move); choose(near[1]); }, {once: true});
    });
    choose(Math.min(this.band, effect.bands.length - 1));
    return h("div", {class: "equalizer"}, picture, tabs, controls);
  }

  bands(index, bands, chosen) {
    this.band = chosen;
    const effects = this.strip.effects.map((effect, at) => (at === index ? {...effect, bands} : effect)).filter((effect) => effect.type !== "equalizer" || effect.bands.length);
    this.replace(effects);
  }
}
