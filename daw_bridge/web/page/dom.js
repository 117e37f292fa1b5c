// Elements without markup in strings: names of songs and stems are always text.

/** @returns {HTMLElement} an element with properties (`on…` are listeners, the rest attributes) and children */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** @returns {SVGElement} the same for pictures */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 4.5h3.6v15H7zM13.4 4.5H17v15h-3.6z",
  start: "M6 5h2.4v14H6zM19 5v14l-9.6-7z",
  loop: "M7 7h9.2V4.2L21 8.4l-4.8 4.2V9.8H7a3 3 0 0 0-3 3v.7H1.6v-.7A5.6 5.6 0 0 1 7 7zm10 10H7.8v2.8L3 15.6l4.8-4.2v2.8H17a3 3 0 0 0 3-3v-.7h2.4v.7A5.6 5.6 0 0 1 17 17z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  minus: "M5 11h14v2H5z",
  fit: "M3 4h2v16H3zM19 4h2v16h-2zM7 11h3V8l4 4-4 4v-3H7z",
  open: "M5 5h6v2H7v10h10v-4h2v6H5zM13 4h7v7h-2V7.4l-6.8 6.8-1.4-1.4L16.6 6H13z",
  down: "M11 4h2v8.2l3.1-3.1 1.4 1.4-5.5 5.5-5.5-5.5 1.4-1.4 3.1 3.1zM5 18h14v2H5z",
  tablet: "M6 3h12a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zm1 2v12h10V5zm4 13.2v1.4h2v-1.4z",
  sliders: "M7 3h2v5h2v2H5V8h2zm0 9h2v9H7zm8-9h2v9h-2zm0 13h-2v-2h6v2h-2v5h-2z",
  wave: "M3 11h2v2H3zM7 7h2v10H7zM11 3h2v18h-2zM15 7h2v10h-2zM19 11h2v2h-2z",
  close: "M6.4 5 12 10.6 17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4z",
  back: "M10.4 5.4 11.8 6.8 7.6 11H20v2H7.6l4.2 4.2-1.4 1.4L3.8 12z",
};

/** An icon that is decoration: the button around it has the words. */
export function icon(name) {
  return svg("svg", {viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", focusable: "false"},
    svg("path", {d: ICONS[name], fill: "currentColor"}));
}

export function clock(seconds, tenths = false) {
  const whole = Math.max(0, seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = whole % 60, tail = (tenths ? (Math.floor(rest * 10) / 10).toFixed(1) : String(Math.floor(rest)));
  const padded = tail.padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${padded}` : `${minutes}:${padded}`;
}

/** Seconds of a typed time: `1:23.4`, `83.4`, `1:02:03`; NaN for anything else. */
export function seconds(text) {
  const parts = text.trim().split(":");
  if (parts.length > 3 || !parts.every((part) => /^\d+([.,]\d*)?$/.test(part))) return NaN;
  return parts.reduce((sum, part) => 60 * sum + Number(part.replace(",", ".")), 0);
}

export const decibels = (value) => (value <= -60 ? "off" : `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)} dB`);

let said = 0;
/** A line that screen readers speak and eyes see for a while. */
export function say(text, kind = "note") {
  const place = document.getElementById("status"), mine = ++said;
  place.textContent = text;
  place.dataset.kind = kind;
  place.hidden = !text;
  if (kind !== "error") setTimeout(() => { if (mine === said) place.hidden = true; }, 6000);
}

/** Run `work` and say what went wrong in words. */
export async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message || String(error), "error");
    return undefined;
  }
}
