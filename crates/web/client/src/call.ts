// Owns single calls: one action and its answer over HTTP, for whoever has no session.
import { toActionError } from "./pending.ts";
import type { ActionName, ActionParams, WireEvent } from "./wire.ts";

const TIMEOUT_MS = 20_000;

/** Rejects with an `ActionError` when the server refuses the action, and with another error when it wasn't reached. */
export async function callOnce<A extends ActionName>(url: string, action: A, params: ActionParams[A]): Promise<WireEvent> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ action, ...params }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  // A proxy in between answers with a page of its own, which is as good as no answer.
  const event = (await response.json()) as WireEvent;
  if (event.event === "error") throw toActionError(event);
  return event;
}
