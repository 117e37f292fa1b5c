// The server: requests with the key, and the socket that speaks the daemon's command table.

const NAME = "daw-bridge-token";
let token = "";

/** The key: from the link's fragment, this tab's storage, or another tab of this page. */
export async function findToken() {
  const given = /(?:^|[#&])token=([^&]+)/.exec(location.hash);
  if (given) {
    token = decodeURIComponent(given[1]);
    sessionStorage.setItem(NAME, token);
    history.replaceState(null, "", location.pathname + "#/");
  }
  token = token || sessionStorage.getItem(NAME) || "";
  const channel = new BroadcastChannel(NAME);
  channel.addEventListener("message", ({data}) => { if (data === "token?" && token) channel.postMessage({token}); });
  if (token) return token;
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(""), 400);
    channel.addEventListener("message", ({data}) => {
      if (!data.token || token) return;
      clearTimeout(timer);
      useToken(data.token);
      resolve(token);
    });
    channel.postMessage("token?");
  });
}

export function useToken(text) {
  const inLink = /token=([^&\s]+)/.exec(text);
  token = inLink ? decodeURIComponent(inLink[1]) : text.trim();
  sessionStorage.setItem(NAME, token);
}

export class ServerError extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {...options, headers: {Authorization: `Bearer ${token}`, ...options.headers}});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "daw-bridge does not answer; is it still running?");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({message: `${answer.status} ${answer.statusText}`}));
  throw new ServerError(answer.status, problem.message);
}

export const json = async (path, options) => (await ask(path, options)).json();
export const post = (path, data) => json(path, {method: "POST", body: JSON.stringify(data)});
export const songPath = (id, rest = "") => `/api/songs/${id.split("/").map(encodeURIComponent).join("/")}${rest ? "/" + rest : ""}`;

/** The socket: comes back by itself, says the key, subscribes, and sends the newest value of each control only. */
export class Commands extends EventTarget {
  constructor() { super(); this.waiting = new Map(); this.newest = new Map(); this.count = 0; this.pause = 500; this.connect(); }

  connect() {
    const socket = this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/socket`);
    socket.onopen = () => {
      this.write("/dawbridge/hello", [token]);
      this.write("/dawbridge/subscribe", []);
      this.pause = 500;
      this.dispatchEvent(new Event("open"));
    };
    socket.onmessage = ({data}) => this.hear(JSON.parse(data));
    socket.onclose = ({code}) => {
      for (const {reject} of this.waiting.values()) reject(new Error("the connection was lost; try again"));
      this.waiting.clear();
      this.dispatchEvent(new Event("close"));
      if (code === 1008) return;
      setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(5000, 2 * this.pause);
    };
  }

  write(address, values, id = "") { this.socket.send(JSON.stringify({id, address, arguments: values})); }

  hear({address, arguments: values}) {
    const waiting = this.waiting.get(values[0]);
    if (waiting && (address === "/dawbridge/reply" || address === "/dawbridge/error")) {
      this.waiting.delete(values[0]);
      if (address === "/dawbridge/reply") waiting.resolve(values.slice(2));
      else waiting.reject(new Error(values[2]));
    }
    this.dispatchEvent(new CustomEvent("message", {detail: {address, values}}));
  }

  /** The reply's values, or an error in words. */
  command(address, ...values) {
    if (this.socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error("not connected to daw-bridge just now; try again"));
    const id = `w${++this.count}-${Math.floor(performance.timeOrigin) % 1e6}`;
    return new Promise((resolve, reject) => { this.waiting.set(id, {resolve, reject}); this.write(`/dawbridge/${address}`, values, id); });
  }

  /** A fader: at most 30 values a second, always the newest. */
  move(address, value) {
    const first = this.newest.size === 0;
    this.newest.set(address, value);
    if (first) setTimeout(() => {
      const all = [...this.newest];
      this.newest.clear();
      for (const [name, latest] of all) this.command(name, latest).catch((error) => this.dispatchEvent(new CustomEvent("problem", {detail: error.message})));
    }, 33);
  }
}
