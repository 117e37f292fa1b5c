// From a mix to a session: drop or pick a file, say what it should become, watch, and open what is finished.
import {json, post, ServerError} from "./api.js";
import {clock, h, icon, say, trying} from "./dom.js";

const DAW_NAMES = {reaper: "REAPER", ardour: "Ardour", dawproject: "DAWproject (Bitwig, Studio One, Cubase)", "reaper-sends": "REAPER, buses by sends", "reaper-live": "REAPER, live", render: "WAV, no DAW"};
const STAGES = {decode: "Reading the mix", load: "Loading the model", separate: "Separating", residual: "Checking the sum", verify: "Measuring the null", archive: "Keeping the original", build: "Writing the session"};
const RETRY = {build: ["template", "daw", "model", "stems", "two_stems"], separate: ["model", "stems", "two_stems"], rebuild: ["template", "daw"]};
const CHOICES = "daw-bridge-choices";
const LICENCES = {clear: "free to use", copyleft: "copyleft", "non-commercial": "not for music that is sold", unstated: "nothing stated: ask before you sell"};

const duration = (seconds) => (seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`);

export class MakeView {
  constructor(app, place) { Object.assign(this, {app, place, uploads: [], progress: null, source: ""}); }

  async open() {
    document.title = "daw-bridge";
    this.jobs = h("section", {class: "jobs", "aria-label": "Queue"});
    this.list = h("section", {class: "songs", "aria-label": "Songs"});
    this.form = h("form", {class: "card make", "aria-label": "Make a session", onsubmit: (event) => { event.preventDefault(); this.build(this.source); }});
    this.place.replaceChildren(h("div", {class: "columns"}, this.form, h("div", {}, this.jobs, this.list)));
    this.fields();
    this.update();
    this.app.models = await json("/api/models");
    this.fields();
  }

  update() { this.progress = this.app.state.progress; this.drawJobs(); this.drawSongs(); this.drawMixes(); }

  hear(address, values) {
    if (address !== "/dawbridge/progress") return;
    const [, number, percent, stage, eta_s, note] = values;
    this.progress = {number, percent, stage, eta_s, note};
    const row = this.jobs.querySelector(`[data-job="${number}"]`);
    if (row) this.fillProgress(row); else this.drawJobs();
  }

  // What it should become

  fields() {
    const {state, models} = this.app, kept = JSON.parse(localStorage.getItem(CHOICES) ?? "{}");
    const ready = (models ?? []).filter((model) => model.here);
    const choice = (name, fallback) => kept[name] ?? (state.selected[name] || fallback);
    const drop = h("label", {class: "drop", for: "file"},
      icon("wave"), h("strong", {}, "Drop your mix here"), h("span", {class: "dim"}, "or choose a file: WAV, FLAC, MP3, M4A, a video …"),
      h("input", {type: "file", id: "file", class: "hidden-input", accept: "audio/*,video/*,.wav,.flac,.aiff,.aif,.mp3,.m4a,.ogg,.w64", multiple: true, onchange: ({target}) => this.take([...target.files])}));
    for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => { event.preventDefault(); this.take([...event.dataTransfer.files]); });

    this.mixes = h("select", {id: "mix", onchange: () => { this.source = this.mixes.value; this.describe(); }});
    this.model = h("select", {id: "model", onchange: () => this.describe()},
      ...(models ?? []).map((model) => h("option", {value: model.name, selected: model.name === choice("model", ready.length > 1 ? "htdemucs_ft" : "preview")}, `${model.name}${model.here ? "" : ` (downloads ${model.size_mb} MB)`}`)));
    this.template = h("select", {id: "template", onchange: () => this.describe()},
      ...state.templates.filter((template) => !template.error).map((template) => h("option", {value: template.name, selected: template.name === choice("template", "band")}, `${template.name}${template.own ? " (yours)" : ""}`)));
    const chosen = new Set((choice("daw", "reaper") || "reaper").split(","));
    this.daws = state.daws.filter((daw) => daw !== "render").map((daw) => h("input", {type: "checkbox", value: daw, id: `daw-${daw}`, checked: chosen.has(daw), onchange: () => this.describe()}));
    const usual = new Set(["reaper", "ardour", "dawproject"]);
    const daw = (box) => h("label", {class: "check", for: box.id}, box, h("span", {}, DAW_NAMES[box.value] ?? box.value));
    this.stems = h("select", {id: "stems", onchange: () => this.describe()});
    this.stemChoice = h("div", {class: "checks", role: "group", "aria-label": "Stems to write"});
    this.accepted = h("input", {type: "checkbox", id: "accepted", onchange: () => this.describe()});
    this.licence = h("div", {class: "licence"});
    this.modelNote = h("p", {class: "hint", id: "model-note"});
    this.templateNote = h("p", {class: "hint"});
    this.go = h("button", {class: "primary big", disabled: true}, "Make the session");
    this.form.replaceChildren(
      h("h2", {}, "Make a session"), drop, this.uploadsPlace ??= h("div", {class: "uploads"}),
      h("label", {class: "field", for: "mix"}, h("span", {}, "Mix"), this.mixes),
      h("div", {class: "two"},
        h("div", {}, h("label", {class: "field", for: "model"}, h("span", {}, "Model"), this.model), this.modelNote, this.licence),
        h("div", {}, h("label", {class: "field", for: "template"}, h("span", {}, "Bus template"), this.template), this.templateNote,
          h("label", {class: "field", for: "stems"}, h("span", {}, "Stems"), this.stems), this.stemChoice)),
      h("fieldset", {}, h("legend", {}, "Sessions for"), ...this.daws.filter((box) => usual.has(box.value)).map(daw),
        h("details", {}, h("summary", {}, "More"), ...this.daws.filter((box) => !usual.has(box.value)).map(daw))),
      this.go);
    this.drawMixes();
    this.describe();
  }

  drawMixes() {
    if (!this.mixes) return;
    const known = this.app.songs.mixes;
    if (!known.some((mix) => mix.id === this.source)) this.source = known[0]?.id ?? "";
    this.mixes.replaceChildren(
      ...(known.length ? known.map((mix) => h("option", {value: mix.id, selected: mix.id === this.source}, mix.id)) : [h("option", {value: ""}, `No mix in “${this.app.songs.folder}” yet`)]));
    this.describe();
  }

  describe() {
    const model = this.app.models?.find((each) => each.name === this.model.value);
    if (model) {
      const work = model.work_s_per_s;
      this.modelNote.replaceChildren(`${model.summary[0].toUpperCase()}${model.summary.slice(1)}. `,
        model.here ? "" : `Downloads ${model.size_mb} MB first. `, `About ${duration(240 * work)} for a song of 4 minutes on this computer.`);
      this.licence.replaceChildren(h("span", {class: `badge ${model.licence_class}`}, `Licence: ${LICENCES[model.licence_class] ?? model.licence_class}`),
        h("p", {class: "hint"}, model.licence, model.licence_source ? h("span", {class: "dim"}, ` (${model.licence_source})`) : null),
        model.asks ? h("label", {class: "check", for: "accepted"}, this.accepted, h("span", {}, "I may use it under this licence")) : "");
      this.drawStems(model);
    }
    this.templateNote.textContent = this.app.state.templates.find((each) => each.name === this.template.value)?.description ?? "";
    const chosen = this.stems.value !== "some" || this.chosenStems().length;
    this.go.disabled = !this.source || !this.daws.some((box) => box.checked) || !model || (model.asks && !this.accepted.checked) || !chosen;
  }

  drawStems(model) {
    if (this.stemsOf !== model.name) {
      this.stemsOf = model.name;
      this.accepted.checked = false;
      this.stems.replaceChildren(h("option", {value: ""}, `All: ${model.stems.join(", ")}`),
        ...model.stems.map((stem) => h("option", {value: `two ${stem}`}, stem === "vocals" ? "Vocals and instrumental" : `${stem} and everything else`)),
        model.stems.length > 2 ? h("option", {value: "some"}, "Some of them …") : "");
      this.stemChoice.replaceChildren(...model.stems.map((stem) => h("label", {class: "check", for: `stem-${stem}`}, h("input", {type: "checkbox", id: `stem-${stem}`, value: stem, onchange: () => this.describe()}), h("span", {}, stem))));
    }
    this.stemChoice.hidden = this.stems.value !== "some";
  }

  chosenStems() { return [...this.stemChoice.querySelectorAll("input:checked")].map((box) => box.value); }

  choices() {
    const {value} = this.stems;
    return {model: this.model.value, template: this.template.value, daw: this.daws.filter((box) => box.checked).map((box) => box.value).join(","),
      stems: value === "some" ? this.chosenStems().join(",") : "", two: value.startsWith("two ") ? value.slice(4) : ""};
  }

  async build(source) {
    const {model, template, daw, stems, two} = this.choices();
    localStorage.setItem(CHOICES, JSON.stringify({model, template, daw}));
    await trying(async () => {
      if (this.accepted.checked) {
        await post(`/api/models/${encodeURIComponent(model)}/licence`, {accept: true});
        this.app.models = await json("/api/models");
        this.describe();
      }
      await this.app.commands.command("build", source, template, daw, model, stems, two);
      say(`${source} is in the queue`);
      this.jobs.scrollIntoView({block: "nearest"});
    });
  }

  // Files that come in

  async take(files) {
    for (const file of files) {
      const upload = {file, sent: 0, problem: "", done: false};
      this.uploads.push(upload);
      this.drawUploads();
      await this.send(upload);
    }
  }

  async send(upload) {
    const {file} = upload, path = `/api/uploads/${encodeURIComponent(file.name)}`;
    const headers = {"X-Upload-Size": String(file.size), "X-Upload-Mark": String(file.lastModified)};
    upload.problem = "";
    for (let attempt = 0; attempt < 8; attempt++) {
      try {
        const {received} = await json(path, {headers});
        upload.sent = received;
        const answer = await this.put(path, {...headers, "X-Upload-Offset": String(received)}, file.slice(received), upload, received);
        upload.done = true;
        this.uploads = this.uploads.filter((each) => each !== upload);
        this.source = answer.id;
        this.app.songs.mixes.unshift({id: answer.id, name: answer.name});
        this.drawUploads();
        this.drawMixes();
        say(`${answer.name} is here`);
        return;
      } catch (error) {
        if (error.status !== 0 && !(error.status === 409 && /another page/.test(error.message))) {
          upload.problem = error.message;
          if (error.status === 409 && this.app.songs.mixes.some((mix) => mix.id === file.name)) {
            this.uploads = this.uploads.filter((each) => each !== upload);
            this.source = file.name;
            this.drawMixes();
            say(`${file.name} was here already; it is chosen`);
          }
          break;
        }
        upload.problem = "the connection was lost; going on in a moment";
        this.drawUploads();
        await new Promise((resolve) => setTimeout(resolve, 1000 * (attempt + 1)));
      }
    }
    this.drawUploads();
  }

  /** fetch cannot tell how much went out, XMLHttpRequest can. */
  async put(path, headers, body, upload, offset) {
    const token = sessionStorage.getItem("daw-bridge-token");
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", path);
      for (const [name, value] of Object.entries({...headers, Authorization: `Bearer ${token}`})) request.setRequestHeader(name, value);
      request.upload.onprogress = ({loaded}) => { upload.sent = offset + loaded; this.drawUploads(); };
      request.onload = () => {
        const answer = JSON.parse(request.responseText || "{}");
        if (request.status < 300) resolve(answer);
        else reject(new ServerError(request.status, answer.message ?? request.statusText));
      };
      request.onerror = request.onabort = () => reject(new ServerError(0, "the connection was lost"));
      request.send(body);
    });
  }

  drawUploads() {
    this.uploadsPlace.replaceChildren(...this.uploads.map((upload) => {
      const percent = upload.file.size ? (100 * upload.sent) / upload.file.size : 0;
      return h("div", {class: "job"}, h("div", {class: "line"}, h("strong", {}, upload.file.name), h("span", {class: "dim"}, `${Math.round(percent)} %`)),
        h("progress", {max: 100, value: percent, "aria-label": `Upload of ${upload.file.name}`}),
        upload.problem ? h("p", {class: "problem"}, upload.problem) : null,
        upload.problem ? h("div", {class: "line"}, h("button", {class: "quiet", type: "button", onclick: () => this.send(upload)}, "Try again"),
          h("button", {class: "quiet", type: "button", onclick: () => { this.uploads = this.uploads.filter((each) => each !== upload); this.drawUploads(); }}, "Forget it")) : null);
    }));
  }

  // The queue

  drawJobs() {
    const jobs = this.app.state.jobs.filter((job) => !["done"].includes(job.state) || Date.now() / 1000 - job.ended_s < 86400).slice(0, 12);
    this.jobs.replaceChildren(...(jobs.length ? [h("h2", {}, "Queue"), ...jobs.map((job) => this.job(job))] : []));
  }

  job(job) {
    const WORDS = {queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled"};
    const again = () => trying(() => this.app.commands.command(job.command, job.source, ...RETRY[job.command].map((name) => job.arguments[name] ?? "")));
    const row = h("article", {class: `job card ${job.state}`, "data-job": job.number, "aria-label": `Job ${job.number}: ${job.name}`},
      h("div", {class: "line"}, h("strong", {}, job.name), h("span", {class: `badge ${job.state}`}, WORDS[job.state])),
      h("p", {class: "dim facts"}, [job.command, job.arguments.model, job.arguments.two_stems ? `${job.arguments.two_stems} and the rest` : job.arguments.stems, job.arguments.template, job.arguments.daw].filter(Boolean).join(" · ")),
      job.state === "running" || job.state === "queued" ? h("progress", {max: 100, value: job.percent, "aria-label": `Progress of ${job.name}`}) : null,
      job.state === "running" ? h("p", {class: "stage", "aria-live": "off"}) : null,
      job.state === "failed" ? h("p", {class: "problem"}, job.detail) : null,
      h("div", {class: "line end"},
        job.state === "running" || job.state === "queued" ? h("button", {class: "quiet", onclick: () => trying(() => this.app.commands.command("cancel", job.number))}, "Cancel") : null,
        (job.state === "failed" || job.state === "cancelled") && job.source ? h("button", {class: "quiet", onclick: again}, job.state === "cancelled" ? "Continue" : "Try again") : null,
        job.state === "done" && job.song ? h("a", {class: "button primary", href: `#/song/${encodeURIComponent(job.song)}`}, "Listen") : null));
    this.fillProgress(row);
    return row;
  }

  fillProgress(row) {
    const progress = this.progress, stage = row.querySelector(".stage");
    if (!stage || progress?.number !== Number(row.dataset.job)) return;
    row.querySelector("progress").value = progress.percent;
    const left = progress.eta_s >= 0 ? `, about ${duration(progress.eta_s)} left` : "";
    stage.textContent = `${STAGES[progress.stage] ?? progress.stage}: ${Math.round(progress.percent)} %${left}`;
  }

  // What is finished

  drawSongs() {
    const songs = this.app.songs.songs;
    this.list.replaceChildren(h("h2", {}, "Songs"), ...(songs.length ? songs.map((song) => this.song(song)) : [
      h("p", {class: "empty card"}, "Nothing here yet. Drop a mix: its stems, ready to be heard and mixed, will stand here.")]));
  }

  song(song) {
    const null_db = song.null_depth_db;
    return h("a", {class: "song card", href: `#/song/${encodeURIComponent(song.id)}`},
      h("div", {class: "line"}, h("strong", {}, song.name), h("span", {class: "dim number"}, clock(song.seconds))),
      h("p", {class: "dim"}, `${song.stems.filter((stem) => stem !== "residual").join(", ")}`),
      h("p", {class: "dim facts"}, [song.model, song.template, ...new Set(song.sessions.map((daw) => DAW_NAMES[daw] ?? daw)), null_db === null ? "" : `null ${Math.round(null_db)} dB`].filter(Boolean).join(" · ")));
  }

  close() {}
}
