// The strips: what the template says, what was moved, and the controls that move it.
import {decibels, h} from "./dom.js";

const MOVABLE = ["gain_db", "pan", "mute", "solo"];
export const LOWEST_DB = -60;

/** The strips of a song with one template; `moved` is called with the name of a strip and what changed on it. */
export class Mix {
  constructor() { this.strips = []; this.base = new Map(); this.template = ""; }

  take(template, plan) {
    this.template = template;
    this.plan = plan;
    this.strips = plan.strips.map((strip) => ({...strip}));
    this.base = new Map(plan.strips.map((strip) => [strip.name, structuredClone(strip)]));
  }

  strip(name) { return this.strips.find((strip) => strip.name === name); }

  get buses() { return this.strips.filter((strip) => strip.kind === "bus"); }

  audible(strip) { return !strip.mute && (strip.solo || !this.buses.some((bus) => bus.solo)); }

  /** Only what differs from the template, so that an untouched mix is the template itself. */
  moves(withSolo = true) {
    const strips = {};
    for (const strip of this.strips) {
      const base = this.base.get(strip.name), moves = {};
      for (const key of MOVABLE) if (strip[key] !== base[key] && (key !== "solo" || withSolo)) moves[key] = key === "gain_db" && strip[key] <= LOWEST_DB ? -150 : strip[key];
      if (JSON.stringify(strip.effects) !== JSON.stringify(base.effects)) moves.effects = strip.effects;
      if (Object.keys(moves).length) strips[strip.name] = moves;
    }
    return strips;
  }

  json({dry = false, withSolo = true} = {}) { return {template: this.template, strips: this.moves(withSolo), ...(dry ? {dry: true} : {})}; }

  get touched() { return Object.keys(this.moves(false)).length > 0; }
}

/** The head of one strip. `moved(strip, key)` after each move by hand. */
export class StripHead {
  constructor(strip, {moved, chosen}) {
    this.strip = strip;
    this.moved = moved;
    const label = strip.label, press = (key) => () => { strip[key] = !strip[key]; this.draw(); moved(strip, key); };
    this.solo = strip.kind === "bus" ? h("button", {class: "sm solo", "aria-pressed": "false", "aria-label": `Solo ${label}`, onclick: press("solo")}, "S") : null;
    this.mute = h("button", {class: "sm mute", "aria-pressed": "false", "aria-label": `Mute ${label}`, onclick: press("mute")}, "M");
    this.level = h("output", {class: "number"});
    this.fader = h("input", {type: "range", class: "fader", min: LOWEST_DB, max: 12, step: 0.5, "aria-label": `Level of ${label}`,
      oninput: () => { strip.gain_db = Number(this.fader.value); this.draw(); moved(strip, "gain_db"); },
      ondblclick: () => { strip.gain_db = 0; this.draw(); moved(strip, "gain_db"); }});
    this.pan = h("input", {type: "range", class: "pan", min: -1, max: 1, step: 0.05, "aria-label": `Pan of ${label}`,
      oninput: () => { strip.pan = Math.abs(Number(this.pan.value)) < 0.03 ? 0 : Number(this.pan.value); this.draw(); moved(strip, "pan"); },
      ondblclick: () => { strip.pan = 0; this.draw(); moved(strip, "pan"); }});
    this.name = h("button", {class: "name", "aria-label": `${label}: show its sound`, "aria-pressed": "false", onclick: () => chosen(strip)}, h("span", {class: "swatch", "aria-hidden": "true"}), h("span", {class: "label"}, label));
    this.facts = h("span", {class: "facts dim"});
    this.element = h("div", {class: "head"}, h("div", {class: "line"}, this.name, this.solo, this.mute),
      h("div", {class: "faders"}, this.fader, this.level, this.pan), this.facts);
    this.draw();
  }

  draw() {
    const {strip} = this;
    this.fader.value = Math.max(LOWEST_DB, strip.gain_db);
    this.fader.setAttribute("aria-valuetext", decibels(strip.gain_db));
    this.level.textContent = decibels(strip.gain_db);
    this.pan.value = strip.pan;
    this.pan.setAttribute("aria-valuetext", strip.pan === 0 ? "centre" : `${Math.round(Math.abs(strip.pan) * 100)} % ${strip.pan < 0 ? "left" : "right"}`);
    this.mute.setAttribute("aria-pressed", String(strip.mute));
    this.solo?.setAttribute("aria-pressed", String(strip.solo));
  }
}
