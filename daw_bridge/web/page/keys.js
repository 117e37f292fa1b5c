// The keyboard, away from text fields; the list of keys is shown with `?`.
import {h} from "./dom.js";

export const KEYS = [
  ["Space", "play, stop"], ["L", "loop on, off"], ["S, M", "solo, mute the strip in focus"], ["↑ ↓", "strip before, after"],
  ["1 – 9", "solo a strip"], ["Shift + 1 – 9", "mute a strip"], ["X", "original, and back"], ["T", "template, and back"],
  ["Home", "to the beginning"], [", .", "5 s back, on"], ["+ −", "zoom"], ["?", "this list"],
];

/** Calls the actions by name; returns a function that lets go. */
export function listenToKeys(act) {
  const onkeydown = (event) => {
    const {target, key} = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("dialog")) return;
    if (target.matches("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
    const digit = /^Digit([1-9])$/.exec(event.code), plain = key.toLowerCase();
    const name = {" ": "play", l: "loop", s: "solo", m: "mute", x: "original", t: "template", home: "home", ",": "back", ".": "on", "+": "in", "=": "in", "-": "out", "?": "keys"}[plain];
    if (digit) act.strip(Number(digit[1]) - 1, event.shiftKey ? "mute" : "solo");
    else if (plain === "arrowdown" || plain === "arrowup") {
      if (target.matches("input[type=range]")) return;
      act.focus(plain === "arrowdown" ? 1 : -1);
    } else if (name) act[name]();
    else return;
    event.preventDefault();
  };
  addEventListener("keydown", onkeydown);
  return () => removeEventListener("keydown", onkeydown);
}

export function keyList() {
  return h("dl", {class: "keys"}, ...KEYS.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)]));
}
