// One song: its lanes, its sound three ways, its mix, and the way out to a DAW.
import {ask, json, post, songPath} from "./api.js";
import {askName, dialog, menu, tablet} from "./dialogs.js";
import {clock, decibels, h, icon, say, seconds, trying} from "./dom.js";
import {EffectsEditor} from "./effects.js";
import {keyList, listenToKeys} from "./keys.js";
import {LaneBoard} from "./board.js";
import {LOWEST_DB, Mix, StripHead} from "./mixer.js";
import {CellSource, Fader, Transport} from "./player.js";
import {routing} from "./routing.js";

const DAW_NAMES = {reaper: "REAPER", ardour: "Ardour", dawproject: "DAWproject", "reaper-sends": "REAPER (sends)", "reaper-live": "REAPER (live)", abletonosc: "Ableton Live", bitwig: "Bitwig", custom: "another DAW by OSC"};
const RENDER_PAUSE_MS = 150, CURVE_PAUSE_MS = 60, JOIN_S = {stems: 0.2, original: 0.2, template: 1};
const addressable = (name) => name.replace(/[\s#*,/?[\]{}]+/g, "_");
const measured = (value, unit) => (value === null ? "silent" : `${value.toFixed(1).replace("-", "−")} ${unit}`);

export class SongView {
  constructor(app, place, id) {
    Object.assign(this, {app, place, id, way: "stems", before: "template", daw: "", mix: new Mix(), heads: new Map(), faders: [], chosen: "", matched: false, timers: {}, closers: []});
  }

  async open() {
    const song = this.song = await json(songPath(this.id));
    document.title = `${song.name} – daw-bridge`;
    this.lastJob = this.newestJob();
    this.lastFailed = Math.max(0, ...this.app.state.jobs.map((each) => each.number));
    const names = this.app.state.templates.filter((each) => !each.error).map((each) => each.name);
    this.templateName = names.includes(song.template) ? song.template : "neutral";
    this.full = this.app.state.local;
    this.transport = new Transport({rate: song.rate, frames: song.frames, cell: song.cell, connect: (name, out) => this.connect(name, out)});
    this.transport.addEventListener("state", () => this.drawTransport());
    this.transport.addEventListener("joined", () => this.waitOver());
    this.transport.addEventListener("problem", ({detail}) => { this.waitOver(); say(detail, "error"); });
    this.sources = {original: this.pcm(["reference"]), stems: this.pcm(song.stems)};
    await this.build();
    await this.takeTemplate(this.templateName);
    this.closers.push(listenToKeys(this.keyActions()));
    const frame = () => { if (this.closed) return; this.transport.tick(); this.board.move(this.transport.position); this.drawClock(); requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
    this.rendered().get(0).catch(() => {});  // the first sound of the template is ready when it is asked for
    this.measure();
    if (this.app.state.bound) this.drawSurface();
  }

  close() {
    this.closed = true;
    for (const closer of this.closers) closer();
    if (this.transport.ctx) { this.transport.stop(); this.transport.ctx.close(); }
    document.getElementById("actions").replaceChildren();
  }

  // Sound

  pcm(stems) {
    const {song} = this, form = this.full ? "f32" : "i16";
    return new CellSource({parts: stems.length, cell: song.cell, frames: song.frames, load: async (from, count) => {
      const body = await (await ask(songPath(song.id, `pcm?from=${from}&count=${count}&stems=${stems.map(encodeURIComponent)}&format=${form}&v=${song.version}`))).arrayBuffer();
      if (form === "f32") return new Float32Array(body);
      return Float32Array.from(new Int16Array(body), (value) => value / 32767);
    }});
  }

  rendered() {
    const {song} = this, mix = encodeURIComponent(JSON.stringify(this.mix.json()));
    if (this.renderOf !== mix) {
      this.renderOf = mix;
      this.sources.template = new CellSource({parts: 1, cell: song.cell, frames: song.frames,
        load: async (from) => new Float32Array(await (await ask(songPath(song.id, `render?from=${from}&mix=${mix}`))).arrayBuffer())});
    }
    return this.sources.template;
  }

  connect(name, out) {
    if (name !== "stems") return [out];
    const faders = this.song.stems.map((stem) => {
      const fader = new Fader(this.transport.ctx);
      fader.output.connect(out);
      return {stem, fader};
    });
    this.faders = [...faders, ...this.faders].slice(0, 2 * faders.length);
    this.setFaders();
    return faders.map(({fader}) => fader.input);
  }

  setFaders() {
    const mix = this.mix.strips.find((strip) => strip.kind === "mix");
    for (const {stem, fader} of this.faders) {
      const bus = this.mix.buses.find((each) => each.stems.includes(stem));
      if (bus) fader.set(bus.gain_db <= LOWEST_DB ? -150 : bus.gain_db + mix.gain_db, bus.pan, this.mix.audible(bus) && !mix.mute);
    }
  }

  async listen(way) {
    if (this.daw) return;
    if (way !== this.way) this.before = this.way;
    this.way = way;
    this.drawWay();
    await this.hearAgain();
  }

  async hearAgain() {
    const source = this.way === "template" ? this.rendered() : this.sources[this.way];
    if (this.transport.playing) this.wait(this.way === "template" ? "rendering …" : "");
    await this.transport.listen(this.way, source, {level: this.levelOf(this.way), lead: JOIN_S[this.way]});
  }

  levelOf(way) { return way === "original" && this.matched && Number.isFinite(this.matchDb) ? 10 ** (this.matchDb / 20) : 1; }

  wait(text) { this.working.textContent = text; }
  waitOver() { this.working.textContent = ""; }

  async toggle() {
    if (this.daw) return say(`${DAW_NAMES[this.daw] ?? this.daw} plays; press play there`);
    await this.transport.wake();
    if (this.transport.playing || this.transport.wanted) return this.transport.stop();
    if (!this.transport.source || this.transport.name !== this.way) await this.hearAgain();
    if (this.way === "template") { this.transport.source = this.rendered(); this.wait("rendering …"); }
    await this.transport.play();
    this.waitOver();
  }

  async match() {
    this.matched = !this.matched;
    this.matchButton.setAttribute("aria-pressed", String(this.matched));
    if (this.matched) {
      const mix = encodeURIComponent(JSON.stringify(this.mix.json()));
      this.wait("measuring …");
      const found = await trying(() => json(songPath(this.id, `loudness?mix=${mix}`)));
      this.waitOver();
      const own = this.song.loudness.lufs;
      this.matchDb = found && found.lufs !== null && own !== null ? found.lufs - own : NaN;
      if (Number.isFinite(this.matchDb)) say(`The original plays ${decibels(this.matchDb)}, as loud as the template`);
      else { this.matched = false; this.matchButton.setAttribute("aria-pressed", "false"); }
    }
    if (this.way === "original") this.transport.setLevel(this.levelOf("original"));
  }

  // What is on the page

  async build() {
    const {song} = this, button = (label, name, run, more = {}) => h("button", {class: "icon", "aria-label": label, title: label, onclick: run, ...more}, icon(name));
    const null_db = song.null_depth_db, rest_db = song.residual_rms_db;
    this.facts = h("p", {class: "dim facts"});
    document.getElementById("headline").replaceChildren(h("h1", {}, song.name), this.facts);
    this.drawActions();
    this.board = new LaneBoard(song, {seek: (frame) => this.transport.seek(frame), loop: (range) => this.chooseLoop(range)});
    this.closers.push(() => this.board.close());
    this.working = h("span", {class: "working", role: "status"});
    this.playButton = h("button", {class: "play", "aria-pressed": "false", "aria-label": "Play", onclick: () => trying(() => this.toggle())}, icon("play"));
    this.loopButton = button("Loop", "loop", () => this.setLoop(this.loopButton.getAttribute("aria-pressed") !== "true"), {"aria-pressed": "false"});
    this.clock = h("output", {class: "clock number", "aria-label": "Position"}, clock(0, true));
    this.ways = {};
    const way = (name, label) => (this.ways[name] = h("button", {role: "radio", "aria-checked": "false", onclick: () => trying(() => this.listen(name))}, label));
    this.templateSelect = h("select", {"aria-label": "Bus template", onchange: () => trying(() => this.takeTemplate(this.templateSelect.value))});
    this.matchButton = h("button", {class: "toggle", "aria-pressed": "false", title: "The original as loud as the template", onclick: () => trying(() => this.match())}, "Match loudness");
    this.surface = h("select", {"aria-label": "What plays", onchange: () => trying(() => this.bind(this.surface.value))});
    this.loopFrom = h("input", {type: "text", class: "time", "aria-label": "Loop from", placeholder: "from", inputmode: "decimal", onchange: () => this.typedLoop()});
    this.loopTo = h("input", {type: "text", class: "time", "aria-label": "Loop to", placeholder: "to", inputmode: "decimal", onchange: () => this.typedLoop()});
    this.pictureButton = h("button", {class: "toggle", "aria-pressed": "false", onclick: () => { const on = this.board.spectra = !this.board.spectra; this.pictureButton.setAttribute("aria-pressed", String(on)); this.board.draw(); }}, "Spectrum");
    const tools = h("div", {class: "tools", role: "toolbar", "aria-label": "View"},
      h("span", {class: "chip", title: "The stems, read back and summed, minus the mix"}, null_db === null ? "stems" : null_db <= -144 ? "Stems add up to the mix exactly" : `Stems add up to the mix to ${Math.round(null_db)} dBFS`.replace("-", "−")),
      rest_db === null ? null : h("span", {class: "chip plain", title: "What no stem took, as RMS: it lies on the bus RESIDUAL, so that nothing is missing"}, `Residual ${Math.round(rest_db)} dB`.replace("-", "−")),
      this.working, h("span", {class: "grow"}), h("span", {class: "group"}, this.loopFrom, h("span", {class: "dim", "aria-hidden": "true"}, "–"), this.loopTo), this.pictureButton,
      h("span", {class: "group"}, button("Zoom out", "minus", () => this.board.zoom(2)), button("Zoom in", "plus", () => this.board.zoom(0.5)), button("Whole song", "fit", () => this.board.show(0, song.frames))));
    this.strips = h("div", {class: "strips", role: "group", "aria-label": "Strips"});
    this.others = h("div", {class: "strips others", role: "group", "aria-label": "Returns and mix bus"});
    this.inspector = h("section", {class: "inspector", "aria-label": "Sound of a strip"});
    this.routingPlace = h("div", {class: "routing-place"});
    this.notes = h("div", {class: "notes dim"});
    const bar = h("div", {class: "transport", role: "toolbar", "aria-label": "Transport"},
      h("div", {class: "group"}, button("To the beginning", "start", () => this.transport.seek(0)), this.playButton, this.loopButton, this.clock),
      h("div", {class: "segmented", role: "radiogroup", "aria-label": "Listen to"}, way("stems", "Stems"), way("template", "Template"), way("original", "Original")),
      h("div", {class: "group extra"}, h("label", {class: "inline"}, h("span", {class: "dim"}, "Template"), this.templateSelect), this.matchButton, h("label", {class: "inline"}, h("span", {class: "dim"}, "Plays"), this.surface)));
    this.place.className = "song-view";
    this.place.replaceChildren(tools, this.board.ruler, this.strips, this.others,
      h("div", {class: "below"}, this.inspector, h("section", {class: "card", "aria-label": "Routing"}, h("h3", {}, "Routing"), this.routingPlace, this.notes)), bar);
    this.drawWay();
    this.drawSurface();
    this.drawTemplates();
  }

  drawFacts(plan) {
    const {song} = this, tempo = plan.bars.length ? `${plan.tempo_bpm.toFixed(plan.tempo_bpm % 1 ? 1 : 0)} BPM ${plan.time_signature.join("/")}` : "";
    this.facts.textContent = [clock(song.seconds), `${(song.rate / 1000).toFixed(1)} kHz`, tempo, song.model, song.licence_class ? `weights: ${song.licence_class}` : ""].filter(Boolean).join(" · ");
  }

  drawTemplates() {
    this.templateSelect.replaceChildren(...this.app.state.templates.filter((each) => !each.error).map((each) =>
      h("option", {value: each.name, selected: each.name === this.templateName}, each.own ? `${each.name} (yours)` : each.name)));
  }

  drawActions() {
    const {song} = this, local = this.app.state.local;
    const opens = (local ? song.sessions : []).map(({adapter, file}) => ({text: `Open in ${DAW_NAMES[adapter] ?? adapter}`, note: file, run: () => trying(async () => { await post(songPath(this.id, "open"), {daw: adapter}); say(`${file} is being opened`); })}));
    const made = new Set(song.sessions.map(({adapter}) => adapter));
    for (const daw of ["reaper", "ardour", "dawproject"].filter((each) => !made.has(each) && this.app.state.daws.includes(each)))
      opens.push({text: `Make a session for ${DAW_NAMES[daw]}`, note: "from these stems", run: () => trying(async () => { await this.app.commands.command("rebuild", song.id, this.templateName, daw); say(`The session for ${DAW_NAMES[daw]} is being written`); })});
    if (song.path) opens.push({text: "Copy the folder's path", run: () => trying(async () => { await navigator.clipboard.writeText(song.path); say("The path is copied"); })});
    const takes = [
      {text: "Session and audio", note: "one ZIP", run: () => this.download({what: "zip"})},
      {text: "This mix with the template", note: "WAV, float", run: () => this.download({what: "balance", mix: this.mix.json()})},
      {text: "This mix without effects", note: "WAV, float", run: () => this.download({what: "balance", mix: this.mix.json({dry: true})})},
      ...[...song.stems, "reference"].map((stem) => ({text: stem === "reference" ? "Original" : `Stem ${stem}`, run: () => this.download({what: "stem", stem})})),
    ];
    const keep = [
      {text: "Keep as a template …", note: "YAML", run: () => this.keep(false)},
      {text: "Keep and write into the sessions …", run: () => this.keep(true)},
      {text: "Back to the template", note: "all strips", run: () => trying(() => this.takeTemplate(this.mix.template))},
    ];
    document.getElementById("actions").replaceChildren(...[
      opens.length ? menu("Open", "open", opens) : null, menu("Take", "down", takes), menu("Mix", "sliders", keep),
      h("button", {class: "icon", "aria-label": "Tablet or phone", title: "Tablet or phone", onclick: () => tablet()}, icon("tablet"))].filter(Boolean));
  }

  async takeTemplate(name) {
    const plan = await json(songPath(this.id, `plan?mix=${encodeURIComponent(JSON.stringify({template: name}))}`));
    this.templateName = name;
    this.mix.take(name, plan);
    this.drawStrips();
    this.drawTemplates();
    this.setFaders();
    this.board.markers = plan.markers;
    this.board.bars = plan.bars;
    this.drawFacts(plan);
    this.board.draw();
    if (this.way === "template") await this.hearAgain();
  }

  drawStrips() {
    const options = {moved: (strip, key) => this.moved(strip, key), chosen: (strip) => this.choose(strip.name)};
    this.heads = new Map(this.mix.strips.map((strip) => [strip.name, new StripHead(strip, options)]));
    const row = (strip) => {
      const lanes = strip.stems.length ? this.board.lanes(strip) : null;
      const element = h("section", {class: `strip ${strip.kind}`, "aria-label": strip.label, "data-strip": strip.name}, this.heads.get(strip.name).element, lanes);
      element.style.setProperty("--stem", strip.colour);
      return element;
    };
    this.board.clear();
    this.strips.replaceChildren(...this.mix.buses.map(row));
    this.others.replaceChildren(...this.mix.strips.filter((strip) => strip.kind !== "bus").map(row));
    this.editor = null;
    this.choose(this.mix.strip(this.chosen) ? this.chosen : this.mix.strips[0].name);
    this.drawRouting();
    this.drawMeasures();
    this.drawAudible();
    this.board.draw();
  }

  drawRouting() {
    this.routingPlace.replaceChildren(routing(this.mix.strips));
    this.notes.replaceChildren(...[...this.mix.plan.notes, ...this.song.notes].map((note) => h("p", {}, note)));
  }

  drawAudible() {
    for (const strip of this.mix.strips) {
      const quiet = strip.kind === "bus" ? !this.mix.audible(strip) : strip.mute;
      this.place.querySelector(`[data-strip="${CSS.escape(strip.name)}"]`)?.classList.toggle("quiet-strip", quiet);
    }
  }

  choose(name) {
    this.chosen = name;
    for (const [each, head] of this.heads) head.name.setAttribute("aria-pressed", String(each === name));
    const strip = this.mix.strip(name), place = h("div", {class: "effects"});
    const reset = h("button", {class: "quiet", onclick: () => this.resetStrip(name)}, "Reset to template");
    this.inspector.replaceChildren(h("header", {}, h("h3", {}, `Sound of ${strip.label}`), reset), place);
    this.inspector.style.setProperty("--stem", strip.colour);
    this.editor = new EffectsEditor(place, this.song.rate, (effects) => this.effectsMoved(name, effects));
    this.editor.show(strip);
    if (!strip.effects.length) place.prepend(h("p", {class: "dim"}, "No effects: this strip sounds as its stems do."));
  }

  effectsMoved(name, effects) {
    Object.assign(this.mix.strip(name), {effects});
    clearTimeout(this.timers.curve);
    this.timers.curve = setTimeout(() => trying(async () => {
      const plan = await json(songPath(this.id, `plan?mix=${encodeURIComponent(JSON.stringify(this.mix.json()))}`));
      const fresh = plan.strips.find((strip) => strip.name === name), strip = this.mix.strip(name);
      if (JSON.stringify(fresh.effects) !== JSON.stringify(strip.effects)) return;
      strip.sections = fresh.sections;
      if (this.chosen === name) this.editor.redraw(strip);
    }), CURVE_PAUSE_MS);
    this.renderSoon();
  }

  resetStrip(name) {
    Object.assign(this.mix.strip(name), structuredClone(this.mix.base.get(name)));
    this.heads.get(name).draw();
    this.choose(name);
    this.moved(this.mix.strip(name), "all");
  }

  moved(strip, key) {
    this.setFaders();
    this.drawAudible();
    if (this.daw) {
      const keys = key === "all" ? ["gain_db", "mute", "solo"] : [key];
      for (const each of keys.filter((every) => ["gain_db", "mute", "solo"].includes(every) && !(every === "solo" && strip.kind !== "bus")))
        this.app.commands.move(`bus/${addressable(strip.name)}/${each}`, each === "gain_db" ? (strip.gain_db <= LOWEST_DB ? -150 : strip.gain_db) : Number(strip[each]));
      return;
    }
    this.renderSoon();
  }

  renderSoon() {
    if (this.way !== "template" || this.daw) return;
    clearTimeout(this.timers.render);
    this.timers.render = setTimeout(() => trying(() => this.hearAgain()), RENDER_PAUSE_MS);
  }

  drawTransport() {
    const {state} = this.transport, on = state !== "stopped";
    this.playButton.setAttribute("aria-pressed", String(on));
    this.playButton.setAttribute("aria-label", on ? "Stop" : "Play");
    this.playButton.replaceChildren(icon(on ? "pause" : "play"));
    this.playButton.classList.toggle("buffering", state === "buffering");
  }

  drawClock() {
    const text = clock(this.transport.position / this.song.rate, true);
    if (this.clock.textContent !== text) this.clock.textContent = text;
  }

  drawWay() { for (const [name, button] of Object.entries(this.ways)) button.setAttribute("aria-checked", String(name === this.way)); }

  async measure() {
    this.loudness = new Map();
    for (const stem of this.song.stems) {
      const found = await json(songPath(this.id, `measures?stem=${encodeURIComponent(stem)}&v=${this.song.version}`)).catch(() => null);
      if (this.closed) return;
      if (found) this.loudness.set(stem, found);
      this.drawMeasures();
    }
  }

  drawMeasures() {
    for (const bus of this.mix.buses) {
      const known = bus.stems.map((stem) => [stem, this.loudness?.get(stem)]).filter(([, found]) => found);
      this.heads.get(bus.name).facts.textContent = known.map(([stem, found]) => `${bus.stems.length > 1 ? `${stem} ` : ""}${measured(found.lufs, "LUFS")} · ${measured(found.dbtp, "dBTP")}`).join("; ");
    }
  }

  // Loop

  chooseLoop(range) {
    this.board.loop = range;
    this.loopFrom.value = clock(range[0] / this.song.rate, true);
    this.loopTo.value = clock(range[1] / this.song.rate, true);
    this.setLoop(true);
  }

  typedLoop() {
    const [from, to] = [this.loopFrom, this.loopTo].map((input) => Math.round(seconds(input.value) * this.song.rate));
    if (!this.loopFrom.value || !this.loopTo.value) return;
    if (!(to > from) || to > this.song.frames + this.song.rate) return say("A loop is two times of the song, as in 0:12.5 and 0:24", "error");
    this.chooseLoop([from, Math.min(to, this.song.frames)]);
  }

  setLoop(on) {
    const range = this.board.loop;
    if (on && !range) return say("Drag over a lane to choose what is looped");
    this.loopButton.setAttribute("aria-pressed", String(on));
    this.board.looping = on;
    this.board.drawLoop();
    const inside = on && this.transport.position >= range[0] && this.transport.position < range[1];
    this.transport.loop = on ? range : null;
    if (on && !inside) return this.transport.seek(range[0]);
    return this.transport.setLoop(on ? range : null);
  }

  // Out of the page

  download(what) {
    return trying(async () => {
      const {url, name} = await post(songPath(this.id, "tickets"), what);
      const link = h("a", {href: url, download: name});
      document.body.append(link);
      link.click();
      link.remove();
      say(`${name} is being sent`);
    });
  }

  async keep(rebuild) {
    const own = this.app.state.templates.find((each) => each.name === this.mix.template)?.own;
    const name = await askName("Keep this mix", own ? this.mix.template : `${this.song.name} ${this.mix.template}`.slice(0, 60),
      rebuild ? "Levels, pans, mutes and effects become a bus template of your own, and the song's sessions are written anew with it. Sessions that you changed in your DAW stay." : "Levels, pans, mutes and effects become a bus template of your own, for this song and others.");
    if (!name) return;
    await trying(async () => {
      await post(songPath(this.id, "template"), {name, mix: this.mix.json({withSolo: false}), replace: own && name === this.mix.template});
      this.app.state = await json("/api/state");
      await this.takeTemplate(name);
      say(`“${name}” is kept as a template`);
      if (rebuild) {
        const daws = [...new Set(this.song.sessions.map((session) => session.adapter))].join(",") || "reaper";
        await this.app.commands.command("rebuild", this.song.id, name, daws);
        say(`The sessions are being written with “${name}”`);
      }
    });
  }

  // The DAW plays

  drawSurface() {
    const bound = this.app.state.bound ? this.daw || this.app.state.bound : "";
    this.surface.replaceChildren(h("option", {value: "", selected: !this.daw}, "this page"),
      ...this.app.state.mixers.map((name) => h("option", {value: name, selected: name === bound && Boolean(this.daw)}, DAW_NAMES[name] ?? name)));
  }

  async bind(daw) {
    if (!daw) {
      this.daw = "";
      document.body.classList.remove("daw-plays");
      await this.app.commands.command("session/close").catch(() => {});
      await this.takeTemplate(this.mix.template);
      return;
    }
    if (this.transport.playing) this.transport.stop();
    try {
      await this.app.commands.command("session/open", daw, this.song.id);
    } catch (error) {
      this.surface.value = this.daw;
      throw error;
    }
    this.daw = daw;
    document.body.classList.add("daw-plays");
    this.app.commands.write("/dawbridge/subscribe", []);
    say(`The strips move ${DAW_NAMES[daw] ?? daw} now, and follow it`);
  }

  hear(address, values) {
    if (address === "/dawbridge/session") {
      const [daw] = values;
      if (!daw && this.daw) { this.daw = ""; this.surface.value = ""; document.body.classList.remove("daw-plays"); say("The DAW was let go of; this page plays"); }
      return;
    }
    const found = /^\/dawbridge\/bus\/([^/]+)\/(gain_db|mute|solo)$/.exec(address);
    if (!found || !this.daw) return;
    const strip = this.mix.strips.find((each) => addressable(each.name) === found[1]);
    if (!strip) return;
    strip[found[2]] = found[2] === "gain_db" ? Math.max(LOWEST_DB, values[0]) : values[0] >= 0.5;
    this.heads.get(strip.name).draw();
    this.drawAudible();
  }

  newestJob() { return this.app.state.jobs.find((each) => each.song === this.song.id && each.state === "done")?.number ?? 0; }

  update() {
    this.drawTemplates();
    const failed = this.app.state.jobs.find((each) => each.source === this.song.id && each.state === "failed" && each.number > this.lastFailed);
    if (failed) { this.lastFailed = failed.number; say(failed.detail, "error"); }
    const job = this.newestJob();
    if (job !== this.lastJob) {
      this.lastJob = job;
      trying(async () => { this.song = {...this.song, sessions: (await json(songPath(this.id))).sessions}; this.drawActions(); say("The sessions are written"); });
    }
  }

  keyActions() {
    const strips = () => this.mix.buses, press = (strip, key) => { if (!strip) return; strip[key] = !strip[key]; this.heads.get(strip.name).draw(); this.moved(strip, key); };
    const focused = () => this.mix.strip(document.activeElement?.closest("[data-strip]")?.dataset.strip ?? this.chosen);
    return {
      play: () => trying(() => this.toggle()),
      loop: () => this.setLoop(this.loopButton.getAttribute("aria-pressed") !== "true"),
      solo: () => { const strip = focused(); if (strip?.kind === "bus") press(strip, "solo"); },
      mute: () => press(focused(), "mute"),
      strip: (index, key) => press(strips()[index], key),
      focus: (step) => {
        const all = this.mix.strips, at = all.indexOf(focused()), next = all[(at + step + all.length) % all.length];
        this.heads.get(next.name).name.focus();
        this.choose(next.name);
      },
      original: () => trying(() => this.listen(this.way === "original" ? this.before : "original")),
      template: () => trying(() => this.listen(this.way === "template" ? this.before : "template")),
      home: () => this.transport.seek(0),
      back: () => this.transport.seek(this.transport.position - 5 * this.song.rate),
      on: () => this.transport.seek(this.transport.position + 5 * this.song.rate),
      in: () => this.board.zoom(0.5),
      out: () => this.board.zoom(2),
      keys: () => dialog("Keys", keyList()),
    };
  }
}
