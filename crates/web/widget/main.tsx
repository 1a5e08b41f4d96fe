// Owns the widget's entry: the script tag's attributes, the `Levee` object for the page, the shadow root.
import { render } from "preact";
import chatCss from "../ui/chat.css?inline";
import tokensCss from "../ui/tokens.css?inline";
import { WidgetModel, type LeveeEvent, type Options, type WindowState } from "./model.ts";
import { Widget } from "./Widget.tsx";
import widgetCss from "./widget.css?inline";

type InitOptions = Partial<Options> & Pick<Options, "realm">;

// Only known while the script runs for the first time.
const script = document.currentScript as HTMLScriptElement | null;
const waiting: [LeveeEvent, (detail?: unknown) => void][] = [];
let model: WidgetModel | null = null;

function mount(created: WidgetModel): void {
  const host = document.createElement("levee-chat");
  const root = host.attachShadow({ mode: "open" });
  // A constructed sheet isn't an inline style, so the page's content security policy has nothing against it.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(tokensCss + chatCss + widgetCss);
  root.adoptedStyleSheets = [sheet];
  const nameState = () => (host.className = created.state.value.window);
  created.state.subscribe(nameState);
  nameState();
  document.body.append(host);
  render(<Widget model={created} />, root);
}

const api = {
  init(options: InitOptions): void {
    if (model) return;
    const address = options.address ?? (script?.src || location.href);
    model = new WidgetModel({ ...options, address });
    for (const [event, listener] of waiting.splice(0)) model.on(event, listener);
    const created = model;
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => mount(created));
    else mount(created);
  },
  open: () => setWindow("open"),
  close: () => setWindow("minimised"),
  toggle: () => setWindow(model?.isOpen ? "minimised" : "open"),
  /** Calls `listener` at an event; returns how to stop that. */
  on(event: LeveeEvent, listener: (detail?: unknown) => void): () => void {
    if (model) return model.on(event, listener);
    const entry: [LeveeEvent, (detail?: unknown) => void] = [event, listener];
    waiting.push(entry);
    return () => waiting.splice(waiting.indexOf(entry), 1);
  },
};

function setWindow(next: WindowState): void {
  model?.setWindow(next);
}

declare global {
  interface Window {
    Levee?: typeof api;
  }
}

// A second script tag on the page must not open a second chat.
if (!window.Levee) {
  window.Levee = api;
  const { realm, queues, title, address } = script?.dataset ?? {};
  if (realm) {
    const ids = queues?.split(",").map((id) => id.trim()).filter(Boolean);
    api.init({ realm, ...(ids?.length && { queues: ids }), ...(title && { title }), ...(address && { address }) });
  }
}
