// The page: what is known of the daemon, and which of the two views is shown.
import {ask, Commands, findToken, json, useToken} from "./api.js";
import {h, icon, say, trying} from "./dom.js";
import {MakeView} from "./make.js";
import {SongView} from "./song.js";

export const app = {state: null, songs: null, models: null, commands: null, view: null};

async function refresh() {
  const [state, songs] = await Promise.all([json("/api/state"), json("/api/songs")]);
  Object.assign(app, {state, songs});
}

let waiting = 0;
/** After something changed: once for a burst of messages. */
export function refreshSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => trying(async () => { await refresh(); app.view?.update?.(); }), 150);
}

async function route() {
  const found = /^#\/song\/(.+)$/.exec(location.hash);
  app.view?.close?.();
  const place = document.getElementById("app");
  place.replaceChildren(header(Boolean(found)), h("main", {id: "main", tabindex: "-1"}));
  const main = place.querySelector("main");
  app.view = found ? new SongView(app, main, decodeURIComponent(found[1])) : new MakeView(app, main);
  await trying(() => app.view.open());
  document.body.dataset.ready = "true";
}

function header(inSong) {
  return h("header", {class: inSong ? "top in-song" : "top"},
    h("a", {class: "brand", href: "#/", "aria-label": inSong ? "All songs" : "daw-bridge"}, inSong ? icon("back") : icon("wave"), h("span", {}, inSong ? "Songs" : "daw-bridge")),
    h("div", {class: "headline", id: "headline"}),
    h("div", {class: "actions", id: "actions"}),
  );
}

function keyView() {
  const input = h("input", {type: "text", id: "key", autocomplete: "off", spellcheck: "false", "aria-describedby": "key-help"});
  document.getElementById("app").replaceChildren(h("main", {class: "welcome"},
    h("form", {class: "card", onsubmit: (event) => { event.preventDefault(); useToken(input.value); trying(start); }},
      h("h1", {}, "This page needs its key"),
      h("p", {id: "key-help"}, "Open it with the link that daw-bridge printed when it started, or paste that link here."),
      h("label", {for: "key"}, "Link or key"), input, h("button", {class: "primary"}, "Open"))));
  document.body.dataset.ready = "true";
}

async function start() {
  try {
    await ask("/api/state");
  } catch (error) {
    if (error.status === 401) return keyView();
    throw error;
  }
  await refresh();
  app.commands = new Commands();
  app.commands.addEventListener("open", () => { document.body.classList.remove("offline"); refreshSoon(); });
  app.commands.addEventListener("close", () => document.body.classList.add("offline"));
  app.commands.addEventListener("problem", ({detail}) => say(detail, "error"));
  app.commands.addEventListener("message", ({detail}) => {
    const {address, values} = detail;
    if (address === "/dawbridge/state" || address === "/dawbridge/session") refreshSoon();
    app.view?.hear?.(address, values);
  });
  addEventListener("hashchange", route);
  await route();
}

addEventListener("unhandledrejection", ({reason}) => say(reason?.message ?? String(reason), "error"));
await findToken();
await trying(start);
globalThis.dawBridge = app;
