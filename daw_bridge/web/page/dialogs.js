// Small windows over the page.
import {json} from "./api.js";
import {h, icon, trying} from "./dom.js";

export function dialog(title, ...children) {
  const close = h("button", {class: "icon quiet", "aria-label": "Close", onclick: () => element.close()}, icon("close"));
  const element = h("dialog", {"aria-label": title, onclose: () => element.remove()}, h("header", {}, h("h2", {}, title), close), ...children);
  element.addEventListener("click", (event) => { if (event.target === element) element.close(); });
  document.body.append(element);
  element.showModal();
  return element;
}

export function tablet() {
  return trying(async () => {
    const {url, qr} = await json("/api/tablet");
    if (!url) return dialog("Tablet or phone", h("p", {}, "The page is open to this computer only. To use it from a tablet, start it with:"), h("pre", {}, "daw-bridge web --lan"), h("p", {class: "dim"}, "Then this window shows a code to scan. It holds a key; whoever has it can use the page."));
    const picture = h("img", {alt: "QR code of the link", src: URL.createObjectURL(new Blob([qr], {type: "image/svg+xml"})), width: 280, height: 280});
    return dialog("Tablet or phone", h("p", {}, "Scan this with a device in the same network."), h("div", {class: "qr"}, picture), h("p", {class: "dim"}, "The link holds a key; whoever has it can use this page."), h("p", {}, h("code", {}, url)));
  });
}

/** Asks for the name of a template; resolves with it, or with null. */
export function askName(title, suggestion, explanation) {
  return new Promise((resolve) => {
    let answer = null;
    const input = h("input", {type: "text", id: "wanted-name", value: suggestion, maxlength: 64, required: true});
    const element = dialog(title, h("form", {method: "dialog", onsubmit: (event) => { event.preventDefault(); answer = input.value.trim(); element.close(); }},
      h("p", {}, explanation), h("label", {class: "field", for: "wanted-name"}, h("span", {}, "Name"), input), h("div", {class: "line end"}, h("button", {class: "primary"}, "Keep"))));
    element.addEventListener("close", () => resolve(answer));
    input.select();
  });
}

/** A button with a list of actions under it. */
export function menu(label, iconName, items) {
  const list = h("ul", {class: "menu-list"}, ...items.map(({text, note, run}) => h("li", {}, h("button", {class: "item", onclick: () => { element.open = false; run(); }}, h("span", {}, text), note ? h("span", {class: "dim"}, note) : null))));
  const element = h("details", {class: "menu"}, h("summary", {class: "button", "aria-label": label}, icon(iconName), h("span", {class: "wide"}, label)), list);
  element.addEventListener("focusout", (event) => { if (event.relatedTarget && !element.contains(event.relatedTarget)) element.open = false; });
  document.addEventListener("pointerdown", (event) => { if (!element.contains(event.target)) element.open = false; });
  element.addEventListener("keydown", (event) => { if (event.key === "Escape") { element.open = false; element.firstChild.focus(); } });
  return element;
}
