// The signal's way as a picture: stems into buses, buses into returns and the mix bus, and out.
import {svg} from "./dom.js";

const ROW = 44, BOX_W = 132, BOX_H = 32, COLUMNS = [8, 198, 388, 578];

export function routing(strips) {
  const buses = strips.filter((strip) => strip.kind === "bus"), returns = strips.filter((strip) => strip.kind === "return"), mix = strips.find((strip) => strip.kind === "mix");
  const stems = buses.flatMap((bus) => bus.stems.map((stem) => ({name: stem, bus})));
  const rows = Math.max(stems.length, buses.length + 0, returns.length + 1, 3), height = rows * ROW + 12;
  const place = (count, index, offset = 0) => 8 + offset + ((rows * ROW) / Math.max(1, count)) * (index + 0.5) - BOX_H / 2;
  const at = new Map(), lines = [], boxes = [];
  const box = (key, text, x, y, colour, sub = "") => {
    at.set(key, {x, y: y + BOX_H / 2});
    const title = svg("text", {x: x + 12, y: y + BOX_H / 2 + 4, class: "name"});
    title.textContent = text.length > 15 ? `${text.slice(0, 14)}…` : text;
    boxes.push(svg("g", {}, svg("rect", {x, y, width: BOX_W, height: BOX_H, rx: 7, class: "box"}), svg("rect", {x, y: y + 6, width: 4, height: BOX_H - 12, rx: 2, fill: colour}), title));
    if (sub) { const note = svg("text", {x: x + BOX_W - 8, y: y + BOX_H / 2 + 4, class: "sub", "text-anchor": "end"}); note.textContent = sub; boxes.push(note); }
  };
  const line = (from, to, colour, send) => {
    const a = at.get(from), b = at.get(to);
    if (!a || !b) return;
    const x1 = a.x + BOX_W, x2 = b.x, half = Math.max(24, (x2 - x1) / 2);
    lines.push(svg("path", {d: `M${x1} ${a.y}C${x1 + half} ${a.y} ${x2 - half} ${b.y} ${x2} ${b.y}`, stroke: colour, class: send ? "wire send" : "wire"}));
  };
  stems.forEach((stem, index) => box(`stem ${stem.name}`, stem.name, COLUMNS[0], place(stems.length, index), stem.bus.colour));
  buses.forEach((bus, index) => box(`bus ${bus.name}`, bus.label, COLUMNS[1], place(buses.length, index), bus.colour, bus.mute ? "muted" : ""));
  returns.forEach((each, index) => box(`bus ${each.name}`, each.label, COLUMNS[2], place(returns.length, index, -ROW / 3), each.colour));
  box("bus mix", mix.label, COLUMNS[3], place(1, 0), mix.colour);
  for (const stem of stems) line(`stem ${stem.name}`, `bus ${stem.bus.name}`, stem.bus.colour, false);
  for (const bus of buses) {
    line(`bus ${bus.name}`, "bus mix", bus.colour, false);
    for (const send of bus.sends) line(`bus ${bus.name}`, `bus ${send.to}`, bus.colour, true);
  }
  for (const each of returns) line(`bus ${each.name}`, "bus mix", each.colour, false);
  const words = `${stems.length} stems into ${buses.length} buses, ${returns.length} returns, into the mix bus`;
  return svg("svg", {viewBox: `0 0 ${COLUMNS[3] + BOX_W + 8} ${height}`, class: "routing", role: "img", "aria-label": `Routing: ${words}`}, ...lines, ...boxes);
}
