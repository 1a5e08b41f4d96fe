// Owns the actions that the server hasn't answered yet: their ids, their order, and whom to tell of the answer.
import type { Frame } from "./frames.ts";
import type { ActionName, ActionParams, EventOf, WireEvent } from "./wire.ts";

/** The first event that answered an action. */
export interface Reply {
  event: WireEvent;
  payload: Frame[];
}

/** An action on its way. */
export interface Dispatched {
  actionId: number;
  reply: Promise<Reply>;
}

/** An action as it can be stored and sent again. */
export interface StoredAction {
  header: { action: ActionName; action_id: number; frames?: number } & Record<string, unknown>;
  payload: string[];
}

interface PendingAction extends StoredAction {
  reply?: Reply;
  resolve?: (reply: Reply) => void;
  reject?: (error: ActionError) => void;
}

/** The server refused an action, or the session it belonged to is gone (`session_lost`). */
export class ActionError extends Error {
  constructor(
    readonly type: string,
    readonly reason?: string,
  ) {
    super(reason ? `${type}: ${reason}` : type);
    this.name = "ActionError";
  }
}

/** The refusal that an error is. A part of a page that is loaded later has a class of its own, so its name tells. */
export function asActionError(error: unknown): { type: string; reason?: string } | null {
  return error instanceof Error && error.name === "ActionError" ? (error as Error & { type: string; reason?: string }) : null;
}

/** A history reply is many events; the last is an empty result or the message after which none remains. */
function completes(action: ActionName, event: WireEvent): boolean {
  if (event.event === "error" || action !== "load_history") return true;
  if (event.event === "history_results") return event.history_length === 0;
  return event.event === "message_received" && event.history_length === 0;
}

export class PendingActions {
  private lastId: number;
  private queue: PendingAction[];

  constructor(lastId = 0, stored: StoredAction[] = []) {
    this.lastId = lastId;
    this.queue = stored;
  }

  get lastActionId(): number {
    return this.lastId;
  }

  all(): readonly StoredAction[] {
    return this.queue;
  }

  add<A extends ActionName>(
    action: A,
    params: ActionParams[A],
    payload: string[] = [],
  ): { stored: StoredAction; reply: Promise<Reply> } {
    this.lastId += 1;
    const header = { action, ...params, action_id: this.lastId } as StoredAction["header"];
    if (payload.length > 0) header.frames = payload.length;
    const entry: PendingAction = { header, payload };
    const reply = new Promise<Reply>((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
    // A caller may not care; its refusal is then not an unhandled rejection.
    reply.catch(() => undefined);
    this.queue.push(entry);
    return { stored: entry, reply };
  }

  /** Hands an event to the action it answers, if any. */
  settle(event: WireEvent, payload: Frame[]): void {
    const id = event.action_id;
    if (id === undefined) return;
    const entry = this.queue.find((candidate) => candidate.header.action_id === id);
    if (!entry) return;
    // A resent history action is answered from its start again.
    if (!entry.reply || event.event === "history_results") entry.reply = { event, payload };
    if (!completes(entry.header.action, event)) return;
    this.queue = this.queue.filter((candidate) => candidate !== entry);
    if (event.event === "error") entry.reject?.(toActionError(event));
    else entry.resolve?.(entry.reply);
  }

  /** Fails everything and starts the ids anew, as a new session has to. */
  abandon(error: ActionError): void {
    const abandoned = this.queue;
    this.queue = [];
    this.lastId = 0;
    for (const entry of abandoned) entry.reject?.(error);
  }
}

export function toActionError(event: EventOf<"error">): ActionError {
  return new ActionError(event.error_type, event.error_reason);
}
