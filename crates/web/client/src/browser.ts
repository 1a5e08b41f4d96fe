// Owns what the protocol needs of a browser page: storage of the session, signs that the network is back, addresses.
import type { SavedSession, SessionStore } from "./connection.ts";

export interface SavedUser {
  user_id: string;
  user_auth: string;
}

/** A stored JSON value that tolerates storage which is full, forbidden or filled by someone else. */
export class Stored<T> {
  constructor(
    private readonly storage: () => Storage,
    private readonly key: string,
  ) {}

  load(): T | null {
    try {
      return JSON.parse(this.storage().getItem(this.key) ?? "null") as T | null;
    } catch {
      return null;
    }
  }

  save(value: T | null): void {
    try {
      if (value === null) this.storage().removeItem(this.key);
      else this.storage().setItem(this.key, JSON.stringify(value));
    } catch {
      // Without storage the chat works until the page is left.
    }
  }
}

/** Per tab, so that each tab has a session of its own. */
export function tabSession(key: string): SessionStore {
  return new Stored<SavedSession>(() => sessionStorage, key);
}

/** For all tabs of the site. */
export function siteUser(key: string): Stored<SavedUser> {
  return new Stored<SavedUser>(() => localStorage, key);
}

/** Calls `nudge` when the page comes to the front or the network may have changed. */
export function watchPage(nudge: () => void): void {
  addEventListener("online", nudge);
  addEventListener("offline", nudge);
  addEventListener("pageshow", nudge);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") nudge();
  });
}

/** The WebSocket address of the server that has this page or script. */
export function socketUrl(origin: string): string {
  return new URL("/v2/socket", origin).href.replace(/^http/, "ws");
}

/** Where the server of this page takes single calls. */
export function callUrl(origin: string): string {
  return new URL("/v2/call", origin).href;
}

/** Has the browser ask before the page is left, for as long as that would lose something. */
export function askBeforeLeaving(isBusy: () => boolean): void {
  addEventListener("beforeunload", (event) => {
    if (isBusy()) event.preventDefault();
  });
}
