// Owns the package's public face.
export * from "./browser.ts";
export { callOnce } from "./call.ts";
export * from "./chat.ts";
export { fileAttrs, FileLinks, filesOf, shownName, type FileLink, type FileRef } from "./files.ts";
export type { ConnectionStatus, SessionParams, SessionStore } from "./connection.ts";
export { Observable } from "./observable.ts";
export { ActionError } from "./pending.ts";
export * from "./state.ts";
export { Uploads } from "./uploads.ts";
export type * from "./wire.ts";
