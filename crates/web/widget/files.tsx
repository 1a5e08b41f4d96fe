// Owns the part of the widget that is loaded when there is a first file to show. It is a root of its own in a place
// that the rest of the widget leaves to it, so that neither has to share its framework with the other.
import { render } from "preact";
import { askBeforeLeaving, FileLinks, filesOf, Uploads, type Chat, type Conversation, type Message } from "../client/src/index.ts";
import { FileCards } from "../ui/FileCards.tsx";
import filesCss from "../ui/files.css?inline";
import type { NameOf } from "../ui/timeline.ts";
import { UploadList } from "../ui/UploadList.tsx";

/** The chat that the files belong to, and the server that it goes by. */
export interface Host {
  chat: Chat;
  server: string;
}

interface FilesOfChat {
  links: FileLinks;
  uploads: Uploads;
}

const known = new WeakMap<Chat, FilesOfChat>();
let sheet: CSSStyleSheet | undefined;

/** Draws a message's files into an element of the widget's. */
export function draw(place: Element, host: Host, message: Message): void {
  dress(place.getRootNode() as ShadowRoot);
  render(<FileCards files={filesOf(message)} links={of(host).links} />, place);
}

/** Draws what is on its way in a conversation. */
export function drawUploads(place: Element, host: Host, conversation: Conversation, nameOf: NameOf): void {
  dress(place.getRootNode() as ShadowRoot);
  render(<UploadList conversation={conversation} uploads={of(host).uploads} nameOf={nameOf} />, place);
}

export function send(host: Host, conversation: Conversation, files: File[]): void {
  of(host).uploads.send(conversation.id, files);
}

export function clear(place: Element): void {
  render(null, place);
}

function of({ chat, server }: Host): FilesOfChat {
  const before = known.get(chat);
  if (before) return before;
  const links = new FileLinks(chat, server);
  const uploads = new Uploads(chat, server, async () => (await import("../client/src/tus.ts")).carry);
  addEventListener("online", () => uploads.nudge());
  askBeforeLeaving(() => uploads.isBusy);
  known.set(chat, { links, uploads });
  return { links, uploads };
}

function dress(root: ShadowRoot): void {
  if (sheet && root.adoptedStyleSheets.includes(sheet)) return;
  sheet = new CSSStyleSheet();
  sheet.replaceSync(filesCss);
  root.adoptedStyleSheets.push(sheet);
}
