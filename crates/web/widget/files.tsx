// Owns the part of the widget that is loaded when there is a first file to show. It is a root of its own in a place
// that the rest of the widget leaves to it, so that neither has to share its framework with the other.
import { render } from "preact";
import { FileLinks, filesOf, type Chat, type Message } from "../client/src/index.ts";
import { FileCards } from "../ui/FileCards.tsx";
import filesCss from "../ui/files.css?inline";

/** The chat that the files belong to, and the server that it goes by. */
export interface Host {
  chat: Chat;
  server: string;
}

const linksOf = new WeakMap<Chat, FileLinks>();
let sheet: CSSStyleSheet | undefined;

/** Draws a message's files into an element of the widget's. */
export function draw(place: Element, { chat, server }: Host, message: Message): void {
  dress(place.getRootNode() as ShadowRoot);
  const links = linksOf.get(chat) ?? new FileLinks(chat, server);
  linksOf.set(chat, links);
  render(<FileCards files={filesOf(message)} links={links} />, place);
}

export function clear(place: Element): void {
  render(null, place);
}

function dress(root: ShadowRoot): void {
  if (sheet && root.adoptedStyleSheets.includes(sheet)) return;
  sheet = new CSSStyleSheet();
  sheet.replaceSync(filesCss);
  root.adoptedStyleSheets.push(sheet);
}
