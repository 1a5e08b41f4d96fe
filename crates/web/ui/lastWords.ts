// Owns what a list of conversations says of each: its last message in one line. Pure.
import { filesOf, shownName } from "../client/src/files.ts";
import { isSpeech, messageText, type Message } from "../client/src/state.ts";
import { fileKind } from "./fileLook.ts";
import { fileTexts } from "./fileTexts.ts";

export interface LastWords {
  text: string;
  /** What came with them, for an icon. */
  attached?: "pictures" | "files";
  userId?: string;
}

export function lastWords(messages: readonly Message[]): LastWords | null {
  const message = messages.findLast((candidate) => isSpeech(candidate) && !candidate.hidden);
  if (!message) return null;
  const files = filesOf(message);
  const written = messageText(message);
  const author = message.userId === undefined ? {} : { userId: message.userId };
  if (!files[0]) return { text: written, ...author };
  const arePictures = files.every(({ attrs }) => fileKind(attrs) === "picture");
  // Cameras' names of pictures say nothing.
  const named = arePictures ? fileTexts.pictures(files.length) : files[1] ? fileTexts.files(files.length) : shownName(files[0].attrs);
  return { text: written || named, attached: arePictures ? "pictures" : "files", ...author };
}
